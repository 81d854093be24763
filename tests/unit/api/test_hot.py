"""Hot routes: what goes which way, and who leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from hub.api.facades.hot import Exchange
from hub.api.front import Front, ShortWay
from hub.domain.errors import TooLarge

Message = dict[str, Any]


def exchange(receive: Callable[[], Awaitable[Message]], limit: int = 100, **headers: str) -> Exchange:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Exchange({"headers": sent, "path_params": {}}, receive, limit)


def saying(*messages: Message) -> Callable[[], Awaitable[Message]]:
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0) if left else await asyncio.Future()

    return receive


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


def test_a_body_comes_whole_whatever_it_was_cut_into() -> None:
    assert asyncio.run(exchange(saying(body(b"ab", more=True), body(b"c"))).body()) == b"abc"


@pytest.mark.parametrize("headers", [{}, {"content_length": "5"}])
def test_a_body_beyond_the_limit_is_refused_announced_or_not(headers: dict[str, str]) -> None:
    with pytest.raises(TooLarge):
        asyncio.run(exchange(saying(body(b"ab", more=True), body(b"cde")), 4, **headers).body())


def test_who_leaves_before_the_end_of_the_body_is_gone() -> None:
    with pytest.raises(ClientDisconnect):
        asyncio.run(exchange(saying(body(b"ab", more=True), GONE)).body())


def test_who_leaves_is_not_computed_for() -> None:
    ended: list[str] = []

    async def compute() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(ClientDisconnect):
        asyncio.run(exchange(saying(GONE)).unless_left(compute()))
    assert ended == ["cancelled"]


def test_who_stays_gets_what_was_computed() -> None:
    async def compute() -> int:
        await asyncio.sleep(0.05)
        return 7

    assert asyncio.run(exchange(saying()).unless_left(compute())) == 7


def test_only_a_post_to_a_hot_route_takes_the_short_way() -> None:
    taken: list[tuple[str, object]] = []

    def app(name: str) -> Callable[..., Awaitable[None]]:
        async def answer(scope: Message, _receive: object, _send: object) -> None:
            taken.append((name, scope.get("path_params")))

        return answer

    front = Front(app("long"), [ShortWay("/v2/{owner}/{name}:go", app("short"))])
    for method, path in (
        ("POST", "/v2/a/b:go"),
        ("GET", "/v2/a/b:go"),
        ("POST", "/v2/a/b/c:go"),
        ("POST", "/v2/a/b:goes"),
    ):
        asyncio.run(front({"type": "http", "method": method, "path": path}, saying(), saying()))
    assert taken == [("short", {"owner": "a", "name": "b"}), ("long", None), ("long", None), ("long", None)]
