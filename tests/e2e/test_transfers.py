"""Transfers as a company has them: killed at any moment on either side, and measured at the socket."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from hub.client.digesting import cut_files
from hub.client.transfer import THREADS
from tests.support.counting import Counted, counting
from tests.support.processes import free_ports

pytestmark = pytest.mark.timeout(900)
MODELS = Path(__file__).parents[1] / "fixtures/savedmodels"
MIB = 1 << 20
PARTS = 40
WITHIN_S = 90.0
HUB = (sys.executable, "-m", "hub.cli.main")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A real model with many megabytes beside it that do not shrink, each a blob of its own."""
    folder = tmp_path / "large"
    (folder / "assets").mkdir(parents=True)
    for path in (path for path in (MODELS / "trunk").rglob("*") if path.is_file()):
        target = folder / path.relative_to(MODELS / "trunk")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    for number in range(PARTS):
        (folder / "assets" / f"part{number:02}").write_bytes(os.urandom(MIB))
    return folder


@pytest.fixture(params=[pytest.param("directory", marks=pytest.mark.faults), "seaweedfs"])
def metered(
    request: pytest.FixtureRequest, tmp_path: Path, start_hub: Callable, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[object, list[Counted]]]:
    """A hub that its client reaches, as it reaches the object store, through wires with meters."""
    with ExitStack() as stack:
        meters = []
        options: tuple[str, ...] = ()
        if request.param == "seaweedfs":
            url = request.getfixturevalue("s3_url")
            endpoint = re.search(r"endpoint_url=(\S+)", url)
            assert endpoint
            meters.append(stack.enter_context(counting(urlsplit(endpoint[1]).port or 80)))
            options = ("--storage-url", f"{url}&public_endpoint_url=http://127.0.0.1:{meters[0].port}")
        hub = stack.enter_context(start_hub(tmp_path, *options))
        meters.append(stack.enter_context(counting(urlsplit(hub.url).port or 80)))
        hub.environment["HUB_URL"] = f"http://127.0.0.1:{meters[-1].port}"
        yield hub, meters


def sent(meters: list[Counted]) -> int:
    return sum(meter.sent for meter in meters)


def received(meters: list[Counted]) -> int:
    return sum(meter.received for meter in meters)


def start(hub, *arguments: str) -> subprocess.Popen[str]:
    command = [*HUB, *arguments]
    return subprocess.Popen(command, env=hub.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill_when(child: subprocess.Popen[str], is_time: Callable[[], bool]) -> None:
    until = time.monotonic() + WITHIN_S
    while not is_time() and child.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.001)
    child.kill()
    child.communicate()


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_client_killed_anywhere_sends_and_gets_again_at_most_what_was_in_flight(metered, large: Path, tmp_path: Path):
    hub, meters = metered
    chance = random.Random(3)
    whole = sum(map(len, contents(large).values()))
    slack = (THREADS + 1) * MIB + 2 * MIB  # blobs in flight, and requests, answers and what socket buffers hold
    for _ in range(3):
        before = sent(meters)
        at = chance.randrange(2, PARTS // 2) * MIB
        kill_when(start(hub, "push", str(large), "acme/large"), lambda at=at, before=before: sent(meters) - before > at)
    last = start(hub, "push", str(large), "acme/large")
    said, prose = last.communicate(timeout=WITHIN_S)
    assert (last.returncode, said) == (0, "acme/large@1\n"), prose
    assert sent(meters) <= whole + 3 * slack

    for meter in meters:
        meter.reset()
    for _ in range(3):
        before = received(meters)
        at = chance.randrange(2, PARTS // 2) * MIB
        kill_when(start(hub, "pull", "acme/large"), lambda at=at, before=before: received(meters) - before > at)
    pulled = hub.cli("pull", "acme/large", str(tmp_path / "pulled"))
    assert pulled.returncode == 0, pulled.stderr
    assert contents(tmp_path / "pulled") == contents(large)
    assert received(meters) <= whole + 3 * slack


@pytest.mark.parametrize("store", [pytest.param("directory", marks=pytest.mark.faults), "seaweedfs"])
def test_a_hub_killed_in_a_push_and_in_a_pull_is_gone_on_with_after_its_restart(
    request: pytest.FixtureRequest, tmp_path: Path, large: Path, store: str
):
    options = ("--storage-url", request.getfixturevalue("s3_url")) if store == "seaweedfs" else ()
    (port,) = free_ports(1)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")} | {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "HUB_CACHE": str(tmp_path / "cache"),
        "HUB_URL": f"http://127.0.0.1:{port}",
        "HUB_GRPC_PORT": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    serve = [*HUB, "serve", "--port", str(port), "--data-dir", str(tmp_path / "data"), "--device", "cpu:0", *options]
    log = (tmp_path / "log").open("wb")

    def serving() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(serve, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + WITHIN_S
        while True:
            try:
                if httpx2.get(f"http://127.0.0.1:{port}/healthz").is_success:
                    return server
            except httpx2.TransportError:
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)

    def run(*arguments: str, pace: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [*HUB, *arguments, *pace]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    slowly = ("--limit-rate", "20M")
    server = serving()
    push = run("push", str(large), "acme/large", pace=slowly)
    time.sleep(2.0)
    server.kill()
    server.wait()
    push.kill()
    push.communicate()
    server = serving()
    push = run("push", str(large), "acme/large")
    said, prose = push.communicate(timeout=WITHIN_S)
    assert (push.returncode, said) == (0, "acme/large@1\n"), prose
    pull = run("pull", "acme/large", pace=slowly)
    time.sleep(1.5)
    server.kill()
    server.wait()
    server = serving()  # while the pull still tries; on a busy machine it may have given up
    said, prose = pull.communicate(timeout=WITHIN_S)
    if pull.returncode:
        said, prose = run("pull", "acme/large").communicate(timeout=WITHIN_S)
    assert contents(Path(said.strip())) == contents(large), prose
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    log.close()


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real Keras model with either head; see ``models/heads.py``."""
    folder = tmp_path_factory.mktemp("heads")
    maker = Path(__file__).parent / "models" / "heads.py"
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, str(maker), str(folder)], check=True, capture_output=True, env=environment)
    return folder


def test_a_swapped_head_costs_a_twelfth_of_the_model_at_the_socket(metered, heads: Path):
    hub, meters = metered
    assert hub.cli("push", str(heads / "1000"), "acme/mobilenet").returncode == 0
    for meter in meters:
        meter.reset()
    pushed = hub.cli("push", str(heads / "10"), "acme/mobilenet")
    assert (pushed.returncode, pushed.stdout) == (0, "acme/mobilenet@2\n"), pushed.stderr
    whole = sum(map(len, contents(heads / "10").values()))
    assert sent(meters) <= 0.08 * whole


def test_variables_that_keras_writes_twice_are_one_blob(heads: Path):
    data = heads / "1000" / "variables" / "variables.data-00000-of-00001"
    (file,) = cut_files(heads / "1000", {f"variables/{data.name}": data.stat().st_size}, lambda _: None)
    unique = {blob.digest: blob.size for blob in file.blobs}
    assert sum(unique.values()) < 0.6 * file.size
