"""Signing in: where a reader may be sent, and whose forms are answered."""

import pytest
from starlette.requests import Request

from hub.domain.errors import Forbidden
from hub.web.session import check_same_origin, local_path


def request_with(headers: dict[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/logout", "query_string": b"", "headers": raw})


@pytest.mark.parametrize("target", ["/", "/acme/shapes", "/acme/shapes/versions?before=3", "/?q=a&kind=head"])
def test_a_path_on_this_hub_is_kept(target: str) -> None:
    assert local_path(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "acme",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/a\r\nx: y",
        "/a\\b",
    ],
)
def test_nobody_is_sent_off_the_hub(target: str) -> None:
    assert local_path(target) == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "hub.example", "Sec-Fetch-Site": "same-origin", "Origin": "https://hub.example"},
        {"Host": "hub.example:8460", "Origin": "http://hub.example:8460"},
    ],
)
def test_the_hubs_own_forms_are_answered(headers: dict[str, str]) -> None:
    check_same_origin(request_with(headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "hub.example"},
        {"Host": "hub.example", "Origin": "null"},
        {"Host": "hub.example", "Origin": "https://evil.example"},
        {"Host": "hub.example:8460", "Origin": "http://hub.example:9999"},
        {"Host": "hub.example", "Sec-Fetch-Site": "cross-site", "Origin": "https://hub.example"},
        {"Host": "hub.example", "Sec-Fetch-Site": "same-site", "Origin": "https://hub.example"},
        {"Host": "hub.example", "Sec-Fetch-Site": "none"},
        {"Origin": ""},
    ],
)
def test_forms_from_elsewhere_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Forbidden):
        check_same_origin(request_with(headers))
