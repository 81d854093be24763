"""The process itself: starting, being told to stop, and being killed in the middle of a push.

Each hub here is a real process with a real worker and prober, as `hub serve` starts it.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from hub.domain.digests import digest_of
from hub.domain.errors import Conflict, NotAvailable
from hub.domain.manifest import Manifest
from hub.maintenance import doctor
from hub.protocol import paths
from hub.protocol.schemas import BeginPush, PushTicket
from hub.runtime import sandbox
from hub.server import run
from hub.settings import Settings

pytestmark = pytest.mark.slow
SERVE = "from hub.server import run; from hub.settings import Settings; run(Settings())"
NAME = "acme/half"
START_S = 120


@dataclass(frozen=True, slots=True)
class Process:
    """A hub in a process of its own."""

    child: subprocess.Popen[str]
    url: str
    said: str

    def kill(self) -> None:
        """End it as a power cut would."""
        self.child.kill()
        self.child.wait()


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts hubs over one data folder."""

    folder: Path
    children: list[subprocess.Popen[str]] = field(default_factory=list)
    clients: list[httpx2.Client] = field(default_factory=list)

    def start(self, **settings: str) -> Process:
        """Start a hub and wait until it says where it is."""
        environment = os.environ | {
            "HUB_DATA_DIR": str(self.folder / "data"),
            "HUB_CONFIG_DIR": str(self.folder / "config"),
            "HUB_PORT": "0",
            "CUDA_VISIBLE_DEVICES": "",
            **settings,
        }
        with (self.folder / "log").open("a") as log:
            child = subprocess.Popen(
                [sys.executable, "-c", SERVE], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.children.append(child)
        said = self._listen(child)
        return Process(child, re.findall(r"Trunk Hub is at (\S+)", said)[0], said)

    def _listen(self, child: subprocess.Popen[str]) -> str:
        assert child.stdout is not None
        said, until = "", time.monotonic() + START_S
        while "Trunk Hub is at" not in said:
            assert select.select([child.stdout], [], [], max(0, until - time.monotonic()))[0], "nothing was said"
            line = child.stdout.readline()
            assert line, (self.folder / "log").read_text()
            said += line
        return said

    def client(self, process: Process) -> httpx2.Client:
        """The administrator's client of a hub."""
        headers = {"Authorization": f"Bearer {self.secret()}"}
        self.clients.append(httpx2.Client(base_url=process.url, headers=headers, timeout=60))
        return self.clients[-1]

    def secret(self) -> str:
        """The administrator's token, from the credentials the first start kept."""
        return re.findall(r"trunkhub_[\w-]+", (self.folder / "config" / "credentials.json").read_text())[0]


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    made = Starter(tmp_path)
    yield made
    for client in made.clients:
        client.close()
    for child in made.children:
        if child.poll() is None:
            child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()


def test_the_first_start_makes_everything_and_shows_the_token_once(starter: Starter):
    first = starter.start()
    [secret] = re.findall(r"trunkhub_[\w-]+", first.said)
    assert starter.secret() == secret
    who = httpx2.get(first.url + paths.WHOAMI, headers={"Authorization": f"Bearer {secret}"})
    assert who.json()["scope"] == "admin"
    first.child.send_signal(signal.SIGTERM)
    assert first.child.wait(60) == 0
    second = starter.start()
    assert "trunkhub_" not in second.said
    assert secret not in (starter.folder / "log").read_text()
    again = httpx2.get(second.url + paths.WHOAMI, headers={"Authorization": f"Bearer {secret}"})
    assert again.json()["scope"] == "admin"
    second.child.send_signal(signal.SIGINT)
    assert second.child.wait(60) == 0


def test_an_address_that_is_taken_is_said_before_anything_is_made(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Conflict, match=str(port)):
            run(Settings(data_dir=tmp_path / "data", port=port))
    assert not (tmp_path / "data").exists()


def test_an_address_that_is_not_ours_is_said(tmp_path: Path):
    with pytest.raises(NotAvailable, match=r"192\.0\.2\.1"):
        run(Settings(data_dir=tmp_path, host="192.0.2.1", port=0))


def test_two_hubs_never_share_a_data_folder(starter: Starter):
    starter.start()
    with pytest.raises(Conflict, match="Another hub"):
        run(Settings(data_dir=starter.folder / "data", port=0))


def test_a_data_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotAvailable, match="file"):
        run(Settings(data_dir=tmp_path / "file" / "data", port=0))


def test_the_doctor_names_what_is_wrong_and_what_to_do(tmp_path: Path):
    checks = {check.name: check for check in doctor(Settings(data_dir=tmp_path / "data")).checks}
    assert checks["storage"].ok
    assert not checks["database"].ok
    assert "hub admin migrate" in checks["database"].remedy
    assert checks["sandbox"].ok
    assert checks["sandbox"].detail == str(sandbox.tried())


def test_a_sandbox_that_is_required_and_cannot_be_had_keeps_the_hub_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    level = sandbox.Level(7, False, ("seccomp is off: this is another machine",))
    monkeypatch.setattr(sandbox, "tried", lambda: level)
    settings = Settings(data_dir=tmp_path / "data", port=0, sandbox="require")
    with pytest.raises(NotAvailable, match="this is another machine") as caught:
        run(settings)
    assert "HUB_SANDBOX=auto" in str(caught.value.remedy)
    assert not (tmp_path / "data").exists()
    checks = {check.name: check for check in doctor(settings).checks}
    assert not checks["sandbox"].ok
    settings = Settings(data_dir=tmp_path / "data", sandbox="auto")
    assert {check.name: check.detail for check in doctor(settings).checks}["sandbox"] == str(level)


def test_the_log_says_once_what_models_are_locked_in_by(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(data_dir=tmp_path / "data", port=taken.getsockname()[1], log_format="json")
        with pytest.raises(Conflict):
            run(settings)
    logged = [line for line in "".join(capfd.readouterr()).splitlines() if "sandbox.chosen" in line]
    assert [json.loads(line)["holds"] for line in logged] == [str(sandbox.tried())]


@dataclass(frozen=True, slots=True)
class Pusher:
    """Does one step of a push at a time."""

    http: httpx2.Client

    def begin(self, draft: object) -> PushTicket:
        body = BeginPush(model=NAME, draft=draft, alias="stable").model_dump(mode="json")
        return PushTicket.model_validate(self.http.post(paths.PUSHES, json=body).raise_for_status().json())

    def upload(self, ticket: PushTicket, contents: dict[str, bytes]) -> None:
        for digest in ticket.missing:
            path = paths.push_blob(str(ticket.push_id), digest)
            self.http.put(path, content=contents[digest]).raise_for_status()

    def send_without_waiting(self, method: str, path: str, body: bytes, size: int) -> socket.socket:
        """Put a request on the wire and do not read the answer."""
        line = socket.create_connection((self.http.base_url.host, self.http.base_url.port))
        head = f"{method} {path} HTTP/1.1\r\nHost: hub\r\nContent-Length: {size}\r\n"
        line.sendall(f"{head}Authorization: {self.http.headers['Authorization']}\r\n\r\n".encode() + body)
        return line


@pytest.mark.timeout(600)  # four starts of a hub, and a worker that loads TensorFlow
@pytest.mark.faults  # the quick one is in tests/faults/test_killed.py
def test_a_hub_killed_at_any_step_of_a_push_loses_nothing_acknowledged_and_shows_nothing_half(
    starter: Starter, saved_model: Callable[..., bytes], draft_of: Callable[..., object]
):
    contents = {"saved_model.pb": saved_model(), "assets/words.txt": os.urandom(8 << 20)}
    by_digest = {digest_of(data): data for data in contents.values()}
    draft = draft_of(contents)
    large = digest_of(contents["assets/words.txt"])

    hub = starter.start()
    pusher = Pusher(starter.client(hub))
    ticket = pusher.begin(draft)
    path = paths.push_blob(str(ticket.push_id), large)
    with pusher.send_without_waiting("PUT", path, by_digest[large][: 4 << 20], 8 << 20):
        hub.kill()

    hub = starter.start()
    pusher = Pusher(starter.client(hub))
    assert pusher.http.get(paths.model(NAME)).status_code == 404
    ticket = pusher.begin(draft)
    assert large in ticket.missing
    pusher.upload(ticket, by_digest)
    with pusher.send_without_waiting("POST", paths.push_complete(str(ticket.push_id)), b"", 0):
        hub.kill()

    hub = starter.start()
    pusher = Pusher(starter.client(hub))
    again = pusher.begin(draft)
    assert again.missing == ()  # what was acknowledged is there
    if again.existing is None:
        pusher.http.post(paths.push_complete(str(again.push_id))).raise_for_status()
    hub.kill()  # while it validates

    hub = starter.start()
    pusher = Pusher(starter.client(hub))
    _check_whole(pusher, by_digest)
    hub.child.send_signal(signal.SIGTERM)
    assert hub.child.wait(60) == 0


def _check_whole(pusher: Pusher, contents: dict[str, bytes]) -> None:
    until = time.monotonic() + START_S
    while True:
        detail = pusher.http.get(paths.version(NAME, 1), params={"wait_s": 30}).raise_for_status().json()
        if detail["version"]["state"] != "validating" or time.monotonic() > until:
            break
    assert (detail["version"]["state"], detail["version"]["aliases"]) == ("ready", ["stable"])
    assert len(pusher.http.get(paths.versions(NAME)).json()["items"]) == 1
    manifest = Manifest.parse(pusher.http.get(paths.manifest(NAME, 1)).content)
    assert manifest.digest() == detail["version"]["digest"]
    for digest in manifest.blobs():
        assert pusher.http.get(paths.version_blob(NAME, 1, digest)).content == contents[digest]
