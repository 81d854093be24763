"""What routes are given: the house, who asks, and parameters with their limits."""

from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request

from hub.domain.access import Principal
from hub.domain.names import MAX_NUMBER
from hub.services.house import House

MAX_PAGE = 200
WITHOUT_NUL = r"^[^\x00]*$"


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(_house)]


def _asking(request: Request, house: HouseDep) -> Principal:
    return house.access.authenticate(request.headers.get("authorization"))


Asking = Annotated[Principal, Depends(_asking)]
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="A version's number.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items on a page.")]

IdempotencyKey = Annotated[
    str | None,
    Header(max_length=200, pattern=r"^[!-~]+$", description="The same key means the same request, sent again."),
]
TokenId = Annotated[str, Path(max_length=64, pattern=WITHOUT_NUL)]


def model_name(owner: str, name: str) -> str:
    """``owner/name`` from the two parts of a path; whether it is well-formed is the service's to say."""
    return f"{owner}/{name}"


Name = Annotated[str, Depends(model_name)]
