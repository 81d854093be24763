"""A disk that is full, or that cannot write any more: refused in words, nothing half, and well again afterwards."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from hub.domain.digests import digest_of
from hub.protocol import paths
from hub.protocol.schemas import PushTicket
from tests.faults.conftest import flaws
from tests.faults.mortal import MortalHub, begun, nursery
from tests.integration.api.conftest import announce, write_saved_model

MIB = 1 << 20
SMALL_DISK = 'mount -t tmpfs -o size=24m none "$0" && exec "$@"'


def may_mount() -> bool:
    """Whether this system lets us have a name space with a disk of our own."""
    asked = ["unshare", "-Urm", "sh", "-c", "mount -t tmpfs none /mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(asked, capture_output=True, check=False).returncode == 0
    )


@dataclass(slots=True)
class CrampedHub(MortalHub):
    """A hub whose data folder is a small disk that only it sees; others get there through its process."""

    @property
    def data(self) -> Path:
        """The disk, from here."""
        return Path(f"/proc/{self.pid}/root{self.folder}/data")

    def fill(self, left: int) -> None:
        """Leave so many bytes free."""
        facts = os.statvfs(self.data)
        with (self.data / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, facts.f_bavail * facts.f_frsize - left)

    def make_room(self) -> None:
        """Take away what filled it."""
        (self.data / "filler").unlink()


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrampedHub]:
    """A hub on a disk of 24 MiB."""
    if not may_mount():
        pytest.skip("this system lets nobody mount a disk of his own")
    folder = tmp_path_factory.mktemp("cramped")
    (folder / "data").mkdir(parents=True)
    with nursery("unshare", "-Urm", "sh", "-c", SMALL_DISK, str(folder / "data")) as started:
        hub = CrampedHub(started, folder)
        hub.start()
        yield hub
        hub.end()


def model(producer: str, size: int = MIB) -> dict[str, bytes]:
    return {"saved_model.pb": write_saved_model(producer=producer), "assets/words": os.urandom(size)}


def refused(client: httpx2.Client, name: str, files: dict[str, bytes]) -> dict[str, object]:
    """The problem that a push ends with at its first step that fails."""
    answer = begun(client, name, announce(files))
    if answer.is_success:
        ticket = PushTicket.model_validate(answer.json())
        contents = {digest_of(data): data for data in files.values()}
        answers = [
            client.put(paths.push_blob(str(ticket.push_id), digest), content=contents[digest])
            for digest in ticket.missing
        ]
        answer = next(found for found in answers if not found.is_success)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


@pytest.mark.parametrize("left", [0, MIB], ids=["nothing is left", "the database has room, the bytes have not"])
def test_a_full_disk_is_said_shows_nothing_half_and_is_well_with_room_again(
    cramped: CrampedHub, tmp_path: Path, left: int
):
    before, name = f"acme/before{left}", f"acme/large{left}"
    assert cramped.push(before, model(before)) == "ready"
    large = model(name, 3 * MIB)
    cramped.fill(left)
    with cramped.client() as client:
        problem = refused(client, name, large)
        assert (problem["status"], problem["code"]) == (507, "storage-full")
        assert "Free some space" in str(problem["remedy"])
        assert client.get(paths.model(name)).status_code == 404
        assert client.get(paths.manifest(before, 1)).status_code == 200
    cramped.make_room()
    assert cramped.push(name, large) == "ready"
    shutil.copytree(cramped.data, tmp_path / "data")  # SQLite itself would not go through another process's root
    assert flaws(cramped.settings.model_copy(update={"data_dir": tmp_path / "data"})) == []


def test_bytes_that_the_disk_did_not_take_are_never_called_stored(mortal: Callable[..., MortalHub]):
    hub = mortal()
    files = model("lost")
    (hub.folder / "broken").write_text("fsync")
    with hub.client() as client:
        problem = refused(client, "acme/lost", files)
        assert (problem["status"], problem["code"]) == (503, "not-available")
        assert client.get(paths.model("acme/lost")).status_code == 404
    assert list((hub.settings.data_path / "blobs").glob("sha256/*/*")) == []
    (hub.folder / "broken").unlink()
    assert hub.push("acme/lost", files) == "ready"
    assert flaws(hub.settings) == []
