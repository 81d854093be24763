"""Whatever is killed in the middle of a push or a prediction: nothing acknowledged is lost, and trying again works.

What happens when the hub itself is killed at chosen steps is in ``tests/integration/api/test_server.py``; here it is
its child processes and its clients.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

MODELS = Path(__file__).parent.parent / "fixtures" / "savedmodels"
ASSET_BYTES = 24 << 20
WITHIN_S = 60.0


def push(hub, folder: Path, name: str) -> subprocess.Popen[str]:
    """Start ``hub push`` in a process of its own."""
    command = [sys.executable, "-m", "hub.cli.main", "push", str(folder), name]
    return subprocess.Popen(command, env=hub.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children_of(pid: int) -> dict[int, str]:
    """Command line by pid of the processes that ``pid`` started."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended while it was looked at
    return found


def eventually(what: Callable[[], object]) -> object:
    """Ask again until there is an answer."""
    until = time.monotonic() + WITHIN_S
    while not (answer := what()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)
    return answer


def child(hub, module: str) -> int | None:
    return next((pid for pid, command in children_of(hub.pid).items() if module in command), None)


def is_receiving(hub) -> bool:
    """Whether the hub has a file open that has no name yet, with bytes in it."""
    for link in Path(f"/proc/{hub.pid}/fd").iterdir():
        try:
            if str(hub.data / "blobs" / "tmp") in str(link.readlink()) and link.stat().st_size > 0:
                return True
        except OSError:
            continue  # it was closed while it was looked at
    return False


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """A real model that nobody has pushed, large enough for an upload to take a moment."""
    folder = tmp_path / "trunk"
    shutil.copytree(MODELS / "trunk", folder)
    (folder / "assets").mkdir(exist_ok=True)
    (folder / "assets" / "words.bin").write_bytes(os.urandom(ASSET_BYTES))
    return folder


@pytest.fixture
def reader(running_hub) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {running_hub.token}"}
    with httpx2.Client(base_url=running_hub.url, headers=headers, timeout=WITHIN_S) as client:
        yield client


def versions(reader: httpx2.Client, name: str) -> list[tuple[int, str]]:
    answer = reader.get(f"/api/v1/models/{name}/versions")
    return [(item["number"], item["state"]) for item in answer.json()["items"]] if answer.status_code == 200 else []


def check_second_push(hub, reader: httpx2.Client, folder: Path, name: str, tmp_path: Path) -> None:
    """The same push again gives the one version there is, and its files are the ones that were sent."""
    again = push(hub, folder, name)
    said, prose = again.communicate(timeout=WITHIN_S)
    assert (again.returncode, said.strip()) == (0, f"{name}@1"), prose
    assert versions(reader, name) == [(1, "ready")]
    pulled = tmp_path / "pulled"
    assert hub.cli("pull", f"{name}@1", str(pulled)).returncode == 0
    for file in (path for path in folder.rglob("*") if path.is_file()):
        assert (pulled / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_a_client_killed_while_it_uploads_shows_nothing_and_pushes_again(running_hub, reader, trunk, tmp_path):
    first = push(running_hub, trunk, "crash/client")
    eventually(lambda: is_receiving(running_hub) or first.poll() is not None)
    first.kill()
    first.communicate()
    assert versions(reader, "crash/client") in ([], [(1, "validating")], [(1, "ready")])
    check_second_push(running_hub, reader, trunk, "crash/client", tmp_path)


def test_a_probe_that_somebody_kills_is_run_again(running_hub, reader, trunk, tmp_path):
    eventually(lambda: child(running_hub, "hub.runtime.worker"))
    first = push(running_hub, trunk, "crash/probe")

    def running_probe() -> int | None:
        zygote = child(running_hub, "hub.runtime.zygote")
        return next(iter(children_of(zygote)), None) if zygote else None

    os.kill(eventually(running_probe), signal.SIGKILL)
    assert first.wait(WITHIN_S) == 0, first.communicate()[1]
    first.communicate()
    check_second_push(running_hub, reader, trunk, "crash/probe", tmp_path)


def test_the_parent_of_probes_killed_in_a_validation_rejects_nothing(running_hub, reader, trunk, tmp_path):
    first = push(running_hub, trunk, "crash/zygote")
    eventually(lambda: versions(reader, "crash/zygote"))
    zygote = child(running_hub, "hub.runtime.zygote")
    if zygote is not None:
        os.kill(zygote, signal.SIGKILL)
    assert first.wait(WITHIN_S) == 0, first.communicate()[1]
    first.communicate()
    check_second_push(running_hub, reader, trunk, "crash/zygote", tmp_path)


def test_a_worker_killed_under_predictions_fails_them_retryably_and_the_next_ones_work(running_hub, reader, trunk):
    assert running_hub.cli("push", str(trunk), "crash/worker").returncode == 0
    path, body = "/v1/models/crash/worker:predict", {"instances": [[1.0, 2.0, 3.0]]}
    expected = reader.post(path, json=body).raise_for_status().json()
    answers: list[httpx2.Response] = []
    stopped = threading.Event()

    def keep_asking() -> None:
        while not stopped.is_set():
            answers.append(reader.post(path, json=body))

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    worker = eventually(lambda: child(running_hub, "hub.runtime.worker"))
    os.kill(worker, signal.SIGSTOP)
    eventually(lambda: reader.get("/api/v1/workers").json()["items"][0]["in_flight"] == len(askers))
    killed_at = len(answers)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: [answer for answer in answers[killed_at:] if answer.status_code == 200])
    stopped.set()
    for asker in askers:
        asker.join()
    failed = [answer for answer in answers if answer.status_code != 200]
    assert [answer.status_code for answer in failed] == [503] * len(askers)  # those that were inside, and no others
    assert all(answer.headers["retry-after"] and answer.json()["code"] == "worker-lost" for answer in failed)
    assert all(answer.json() == expected for answer in answers if answer.status_code == 200)
    assert reader.post(path, json=body).json() == expected


def test_ctrl_c_in_the_hub_s_terminal_reaches_the_hub_alone(running_hub):
    worker = eventually(lambda: child(running_hub, "hub.runtime.worker"))
    assert os.getpgid(worker) != os.getpgid(running_hub.pid)
