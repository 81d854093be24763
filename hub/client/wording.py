"""Wording: what a caller says is put into the shape of a request, before anything is sent."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hub.domain.errors import InvalidRequest

_Request = TypeVar("_Request", bound=BaseModel)


def worded(kind: type[_Request], **facts: Any) -> _Request:
    """A request of a kind.

    Raises:
        InvalidRequest: The hub takes no such value; it is not asked.
    """
    try:
        return kind(**facts)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "request"
        raise InvalidRequest(f"{place}: {first['msg'].removeprefix('Value error, ').rstrip('.')}.") from error
