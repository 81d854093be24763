"""gRPC clients that connect or call and then do nothing, seen from their end; the limits are those of tests."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import grpc
import pytest

from hub.api.facades.rpc import CODE_KEY, RpcPatience
from hub.domain.secret import new_secret
from tests.integration.test_predict_rpc import serving
from tests.support.arrays_hub import Hub, running_hub

SHORT = RpcPatience(greeting_s=0.3, idle_s=0.3, message_s=0.3)
LIVE = "/inference.GRPCInferenceService/ServerLive"
READY = "/inference.GRPCInferenceService/ModelReady"
METADATA = "/inference.GRPCInferenceService/ModelMetadata"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def port(hub: Hub) -> Iterator[int]:
    with serving(hub.house, SHORT) as port:
        yield port


@contextmanager
def channel(port: int) -> Iterator[grpc.Channel]:
    # Of its own, because channels to one address share their connection otherwise.
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as opened:
        yield opened


@contextmanager
def too_many(hub: Hub) -> Iterator[None]:
    """From this machine have come more tokens that are none than are looked up, which is where they were counted."""
    counted = hub.house.access.strangers.rates._full_at
    assert counted.keys() == {"address:127.0.0.1"}
    counted["address:127.0.0.1"] = time.monotonic() + 1_000
    yield
    counted.clear()


def test_who_connects_and_says_nothing_is_left(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connected:
        while connected.recv(1 << 10):  # the server speaks first
            pass


def test_a_connection_without_calls_is_ended_and_the_client_comes_again_by_itself(port: int) -> None:
    states: list[grpc.ChannelConnectivity] = []
    was_ended = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        if grpc.ChannelConnectivity.READY in states and state is grpc.ChannelConnectivity.IDLE:
            was_ended.set()
        states.append(state)

    with channel(port) as opened:
        opened.subscribe(note)
        assert opened.unary_unary(LIVE)(b"", timeout=20)
        assert was_ended.wait(20), states
        assert opened.unary_unary(LIVE)(b"", timeout=20)


def test_a_call_whose_message_does_not_come_is_ended_and_told(port: int) -> None:
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(20)
        yield from ()

    with channel(port) as opened:
        with pytest.raises(grpc.RpcError) as told:
            opened.stream_unary(READY)(nothing(), timeout=20)
        assert told.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "message took longer than 0.3 s" in told.value.details()
        assert (CODE_KEY, "too-slow") in [*told.value.trailing_metadata()]
        never.set()
        with pytest.raises(grpc.RpcError) as told:
            opened.stream_unary(READY)(iter(()), timeout=20)
        assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert opened.unary_unary(LIVE)(b"", timeout=20)


def test_calls_that_do_nothing_keep_nobody_out_for_long(hub: Hub, port: int) -> None:
    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(20)
        yield from ()

    with channel(port) as idle, channel(port) as busy:
        waiting = [idle.stream_unary(READY).future(nothing(), timeout=20) for _ in range(20)]
        codes = {call.exception().code() for call in waiting}
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert busy.unary_unary(LIVE)(b"", timeout=20)
        never.set()


def test_tokens_that_are_none_are_counted_by_address(hub: Hub, port: int) -> None:
    with channel(port) as opened:

        def refused() -> grpc.StatusCode:
            with pytest.raises(grpc.RpcError) as told:
                opened.unary_unary(METADATA)(b"", metadata=(("authorization", f"Bearer {new_secret()}"),), timeout=20)
            return told.value.code()

        assert refused() is grpc.StatusCode.UNAUTHENTICATED
        with too_many(hub):
            assert refused() is grpc.StatusCode.UNAVAILABLE


def test_tokens_that_are_none_are_counted_where_predictions_are_asked_for(hub: Hub) -> None:
    path, body = "/v2/models/acme/x/infer", b'{"inputs": []}'
    assert hub.post(path, body, Authorization=f"Bearer {new_secret()}").status_code == 401
    with too_many(hub):
        told = hub.post(path, body, Authorization=f"Bearer {new_secret()}")
        assert (told.status_code, told.json()["code"]) == (429, "overloaded")
        assert int(told.headers["retry-after"]) > 0
        assert hub.post(path, body).status_code == 404, "who sends no token is not counted"
