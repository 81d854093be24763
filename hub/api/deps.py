"""What routes are given: the house, who asks, and parameters with their limits."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from hub.domain.access import Principal
from hub.services.house import House

MAX_INTEGER = 2**31 - 1
MAX_PAGE = 200


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


HouseDep = Annotated[House, Depends(_house)]


def _asking(request: Request, house: HouseDep) -> Principal:
    return house.access.authenticate(request.headers.get("authorization"))


Asking = Annotated[Principal, Depends(_asking)]
Number = Annotated[int, Path(ge=1, le=MAX_INTEGER, description="A version's number.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items on a page.")]


def model_name(owner: str, name: str) -> str:
    """``owner/name`` from the two parts of a path; whether it is well-formed is the service's to say."""
    return f"{owner}/{name}"


Name = Annotated[str, Depends(model_name)]
