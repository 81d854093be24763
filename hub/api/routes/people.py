"""Members of organisations, and tokens that leaked."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from hub.api.deps import WITHOUT_NUL, Asking, HouseDep
from hub.protocol import people as bodies

Owner = Annotated[str, Path(max_length=100, pattern=WITHOUT_NUL)]
MEMBERS = bodies.members("{owner}")
MEMBER = bodies.member("{owner}", "{user}")

router = APIRouter(tags=["people"])


@router.get(MEMBERS)
def members(house: HouseDep, asking: Asking, owner: Owner) -> bodies.MemberList:
    """An organisation's members and their roles."""
    return house.people.members(asking, owner)


@router.put(MEMBER)
def set_member(house: HouseDep, asking: Asking, owner: Owner, user: Owner, body: bodies.SetMember) -> bodies.MemberList:
    """Give a user a role in an organisation."""
    return house.people.set_member(asking, owner, user, body.role)


@router.delete(MEMBER, status_code=204)
def remove_member(house: HouseDep, asking: Asking, owner: Owner, user: Owner) -> None:
    """Take a user's role in an organisation away."""
    house.people.remove_member(asking, owner, user)


@router.post(bodies.REPORT, status_code=202, response_class=Response)
def report_tokens(house: HouseDep, body: bodies.ReportTokens) -> Response:
    """Report tokens that leaked: those that are ours are worthless at once. The answer does not tell which were."""
    house.rates.admit()
    house.access.report(body.secrets)
    return Response(status_code=202)
