"""What routes are given: the house, who asks, and parameters with their limits.

Law: what needs no waiting is asynchronous, because FastAPI sends every plain function to a thread of its own.
"""

from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Header, Path, Query, Request

from hub.domain.access import Principal
from hub.domain.names import MAX_NUMBER
from hub.services.house import House

MAX_PAGE = 200
_READING = frozenset({"GET", "HEAD"})
WITHOUT_NUL = r"^[^\x00]*$"


async def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(_house)]


async def _sending(request: Request, house: HouseDep) -> Principal:
    authorization = request.headers.get("authorization")
    principal = house.access.at_hand(authorization)
    if principal is not None:
        return principal
    return await to_thread.run_sync(house.access.authenticate, authorization)


Sending = Annotated[Principal, Depends(_sending)]
"""Who asks, where rates do not count: the bytes of a push that was let in."""


async def _asking(request: Request, house: HouseDep, sending: Sending) -> Principal:
    if request.method not in _READING:
        house.rates.admit(sending)
    return sending


Asking = Annotated[Principal, Depends(_asking)]
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="A version's number.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items on a page.")]

IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, pattern=r"^[!-~]+$", description="The same key means the same request, sent again."),
]
TokenId = Annotated[str, Path(max_length=64, pattern=WITHOUT_NUL)]


async def model_name(owner: str, name: str) -> str:
    """``owner/name`` from the two parts of a path; whether it is well-formed is the service's to say."""
    return f"{owner}/{name}"


Name = Annotated[str, Depends(model_name)]
