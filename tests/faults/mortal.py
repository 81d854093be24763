"""A hub process as a test sees it: started, pushed to, killed, started again over the same files."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from hub.domain.digests import digest_of
from hub.domain.manifest import Draft
from hub.protocol import paths
from hub.protocol.schemas import BeginPush, BlobPlaces, PushTicket
from hub.settings import Settings
from tests.integration.api.conftest import announce

WITHIN_S = 60.0
NEVER = 1_000_000


class Died(Exception):
    """The hub went away while it was asked."""


@dataclass(slots=True)
class Nursery:
    """The program that forks hubs."""

    process: "subprocess.Popen[bytes]"

    def start(self, folder: Path, environment: dict[str, str]) -> int:
        """Fork a hub; gives its process id."""
        order = json.dumps({"folder": str(folder), "environment": environment})
        self.process.stdin.write(f"{order}\n".encode())
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextmanager
def nursery(*before: str) -> Iterator[Nursery]:
    """Start the program, behind a command such as one that sets the clock, and end it."""
    command = [*before, sys.executable, "-m", "tests.faults.nursery"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
    root = Path(__file__).parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, cwd=root, **pipes) as process:
        yield Nursery(process)
        process.stdin.close()
        process.wait(WITHIN_S)


@dataclass(slots=True)
class MortalHub:
    """One hub over one folder, which may die and be started again."""

    nursery: Nursery
    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    pid: int = 0
    url: str = ""

    @property
    def settings(self) -> Settings:
        """What it is started with."""
        given = {"database_url": self.more.get("HUB_DATABASE_URL"), "storage_url": self.more.get("HUB_STORAGE_URL")}
        return Settings(data_dir=self.folder / "data", **given)

    def start(self) -> None:
        """Start it and wait until it says where it is."""
        environment = {
            "HUB_DATA_DIR": str(self.folder / "data"),
            "HUB_CONFIG_DIR": str(self.folder / "config"),
            "HUB_PORT": "0",
            "HUB_GRPC_PORT": "0",
            **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
            **self.more,
        }
        log = self.folder / "log"
        before = log.stat().st_size if log.exists() else 0
        self.pid = self.nursery.start(self.folder, environment)
        until = time.monotonic() + WITHIN_S
        while True:
            said = log.read_bytes()[before:].decode(errors="replace") if log.exists() else ""
            if found := re.search(r"Trunk Hub is at (http://\S+)\n", said):
                self.url = found[1]
                return
            assert self.is_alive(), said[-3000:]
            assert time.monotonic() < until, said[-3000:]
            time.sleep(0.01)

    def is_alive(self) -> bool:
        """Whether the process is there."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal, and wait until it is gone."""
        if self.is_alive():
            os.kill(self.pid, number)
        self.wait_until_gone()

    def wait_until_gone(self) -> None:
        """Wait until the process is there no more."""
        until = time.monotonic() + WITHIN_S
        while self.is_alive():
            assert time.monotonic() < until, "it did not end"
            time.sleep(0.005)

    def arm(self, step: int = NEVER) -> None:
        """Count steps from now on, and have the process die at one; see `nursery`."""
        (self.folder / "trace").write_text("")
        (self.folder / "armed").write_text(str(step))

    def disarm(self) -> list[str]:
        """Count no more; gives the steps that were counted."""
        (self.folder / "armed").unlink()
        return (self.folder / "trace").read_text().splitlines()

    def client(self) -> httpx2.Client:
        """The administrator's client."""
        kept = (self.folder / "config" / "credentials.json").read_text()
        secret = re.findall(r"trunkhub_[\w-]+", kept)[0]
        return httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {secret}"}, timeout=30)

    def push(self, model: str, files: dict[str, bytes]) -> str:
        """Push from the beginning until the version is validated; gives its state.

        Raises:
            Died: The hub went away meanwhile.
        """
        try:
            with self.client() as client:
                return _push(client, model, files)
        except httpx2.TransportError as error:
            raise Died(str(error)) from error


def begun(client: httpx2.Client, model: str, draft: Draft) -> httpx2.Response:
    """The answer to the beginning of a push."""
    return client.post(paths.PUSHES, json=BeginPush(model=model, draft=draft).model_dump(mode="json"))


def send(client: httpx2.Client, ticket: PushTicket, contents: dict[str, bytes]) -> None:
    """Send what is missing to where the hub says."""
    if not ticket.missing:
        return
    asked = client.post(paths.push_places(str(ticket.push_id)), json={"digests": list(ticket.missing)})
    for place in BlobPlaces.model_validate(asked.raise_for_status().json()).items:
        put = httpx2.put if urlsplit(place.url).scheme else client.put
        put(place.url, content=contents[place.digest]).raise_for_status()


def _push(client: httpx2.Client, model: str, files: dict[str, bytes]) -> str:
    ticket = PushTicket.model_validate(begun(client, model, announce(files)).raise_for_status().json())
    if ticket.existing is None:
        send(client, ticket, {digest_of(data): data for data in files.values()})
        done = client.post(paths.push_complete(str(ticket.push_id))).raise_for_status().json()
        number = done["number"]
    else:
        number = ticket.existing.number
    settled = client.get(paths.version(model, number), params={"wait_s": 20}).raise_for_status().json()
    return str(settled["version"]["state"])
