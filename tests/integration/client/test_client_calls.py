"""The client's other calls, through a real hub."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from hub.client.client import Client
from hub.client.config import Connection
from hub.client.http import Http
from hub.domain.access import Scope
from hub.domain.errors import (
    Forbidden,
    HubUnreachable,
    InvalidTensor,
    ModelNotFound,
    SignatureNotFound,
    Unauthorized,
)

MakeModel = Callable[..., Path]


@pytest.fixture
def echo(client: Client, make_model: MakeModel) -> Client:
    client.push(make_model(), "acme/echo:stable")
    return client


def test_a_prediction_gives_arrays_back(echo: Client):
    sent = np.array([[1, 2], [3, 4.5]], np.float32)
    for reference in ("acme/echo", "acme/echo@1", "acme/echo:stable"):
        outputs = echo.predict(reference, {"x": sent})
        assert list(outputs) == ["y"]
        np.testing.assert_array_equal(outputs["y"], sent)
    np.testing.assert_array_equal(echo.predict("acme/echo", [[1, 2]])["y"], sent[:1].round())


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"z": [[1.0, 2.0]]}, "no input 'z'"),
        ({}, "input 'x' is missing"),
        ([[1.0, 2.0, 3.0]], "shape"),
        ([["a", "b"]], "takes float32"),
        ([[1.0], [2.0, 3.0]], "not rectangular"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(echo: Client, inputs: object, said: str):
    with pytest.raises(InvalidTensor, match=said):
        echo.predict("acme/echo", inputs)


def test_an_unknown_signature_is_answered_with_those_there_are(echo: Client):
    with pytest.raises(SignatureNotFound) as caught:
        echo.predict("acme/echo", [[1, 2]], "nope")
    assert caught.value.facts["signatures"] == ["serving_default"]


def test_models_and_versions_are_listed_over_pages(client: Client, make_model: MakeModel):
    for number in range(3):
        client.push(make_model(str(number), notes=str(number).encode()), "acme/many")
        client.push(make_model("same"), f"acme/one-{number}")
    assert client.models_page(limit=2).next == "acme/one-0"
    assert [model.name for model in client.models(search="one")] == ["acme/one-0", "acme/one-1", "acme/one-2"]
    assert [version.number for version in client.versions("acme/many")] == [3, 2, 1]
    assert client.versions_page("acme/many", limit=2).next == 2


def test_aliases_move_and_are_remembered(echo: Client):
    assert echo.set_alias("acme/echo", "prod", 1).aliases == {"prod": 1, "stable": 1}
    assert {move.alias for move in echo.aliases("acme/echo").history} == {"prod", "stable"}


def test_what_is_removed_is_gone(echo: Client):
    echo.delete_version("acme/echo", 1)
    assert list(echo.versions("acme/echo")) == []
    echo.delete_model("acme/echo")
    with pytest.raises(ModelNotFound):
        echo.model("acme/echo")


def test_tokens_say_who_asks(running, client: Client):
    created = client.create_token("ci", Scope.READ, expires_in_s=3600)
    with Client(running.url, created.secret) as reader:
        assert reader.whoami().name == "ci"
        with pytest.raises(Forbidden):
            reader.create_token("more", Scope.ADMIN)
    client.revoke_token(created.token.id)
    with Client(running.url, created.secret) as reader, pytest.raises(Unauthorized):
        reader.whoami()
    assert {token.name for token in client.tokens().items} >= {"ci"}
    told = client.audit_page(about=created.token.id, since=created.token.created_at)
    assert [entry.action for entry in told.items] == ["token.revoke", "token.create"]


def test_the_state_of_the_hub_can_be_asked(client: Client):
    assert client.status().ok
    assert [worker.device for worker in client.workers().items] == ["cpu:0"]


class _Stranger(BaseHTTPRequestHandler):
    """Some other web server, which keeps the headers it was sent."""

    kept: list[str | None]

    def _answer(self) -> None:
        self.kept.append(self.headers.get("Authorization"))
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    do_GET = do_PUT = _answer  # noqa: N815 - the base class chose the names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str | None]]]:
    kept: list[str | None] = []
    server = HTTPServer(("127.0.0.1", 0), type("Handler", (_Stranger,), {"kept": kept}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", kept
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_is_not_a_hub_is_said_to_be_none(stranger: tuple[str, list[str | None]]):
    with Client(stranger[0], "secret") as client, pytest.raises(HubUnreachable, match="not a hub"):
        client.whoami()


def test_the_token_goes_to_the_hub_and_to_nobody_else(stranger: tuple[str, list[str | None]]):
    url, kept = stranger
    with Http(Connection("http://hub.example.org", "secret")) as http:
        http.upload(f"{url}/bucket/blob", [b"bytes"], 5)
    with Http(Connection(url, "secret")) as http:
        http.request("GET", "/anything")
    assert kept == [None, "Bearer secret"]
