"""The other servers: what each needs, how it is started, and which bodies it takes where."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import ROOT, CannotRun, environment, free_ports, running, tool, wait_until
from bench.servers import Server, answers

SCRIPTS = ROOT / "bench" / "peers"
VENVS = ROOT / "build" / "bench" / "venvs"
_INFER = "/v2/models/trunk/infer"
_TENSORFLOW = "tensorflow==2.21.0"
Command = Callable[[Path, Path, str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A server of somebody else.

    Attributes:
        name: Its name.
        needs: What is installed into its environment.
        command: Of the environment's folder, a folder of its own, the model's name and the port.
        places: Path by kind of body: ``bin``, ``oip.json`` or ``lists.json``.
        ready: Answers once it can be asked.
        variables: Of the environment's folder.
    """

    name: str
    needs: tuple[str, ...]
    command: Command
    places: Mapping[str, str]
    ready: str
    variables: Callable[[Path], dict[str, str]] = field(default=lambda _venv: {})


def _script(name: str) -> Command:
    return lambda venv, _folder, _model, _port: [str(venv / "bin" / "python"), str(SCRIPTS / name)]


def _site(venv: Path) -> Path:
    return next((venv / "lib").iterdir()) / "site-packages"


_SHAPES = {"tiny": ("64", 10), "rnn": ("24, 16", 32)}


def _triton(venv: Path, folder: Path, model: str, port: int) -> list[str]:
    """The real ``tritonserver`` of NVIDIA's wheel, with its Python backend and batching of what waits."""
    server = _site(venv) / "pytriton" / "tritonserver"
    backend = folder / "backends" / "python"
    shutil.copytree(server / "backends" / "python", backend)
    stub = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(server / "python_backend_stubs" / stub / "triton_python_backend_stub", backend)
    (backend / "triton_python_backend_stub").chmod(0o755)
    version = folder / "models" / "trunk" / "1"
    version.mkdir(parents=True)
    shutil.copy(SCRIPTS / "triton_model.py", version / "model.py")
    side = model.removeprefix("mobilenet")
    dims, features = _SHAPES.get(model, (f"{side}, {side}, 3", 1280))
    (version.parent / "config.pbtxt").write_text(
        f'name: "trunk" backend: "python" max_batch_size: 32 instance_group [ {{ kind: KIND_CPU count: 1 }} ] '
        f'input [ {{ name: "x" data_type: TYPE_FP32 dims: [ {dims} ] }} ] '
        f'output [ {{ name: "features" data_type: TYPE_FP32 dims: [ {features} ] }} ] dynamic_batching {{ }}'
    )
    (grpc, metrics) = free_ports(2)
    options = {"model-repository": folder / "models", "backend-directory": folder / "backends", "http-port": port}
    options |= {"grpc-port": grpc, "metrics-port": metrics, "http-address": "127.0.0.1", "grpc-address": "127.0.0.1"}
    return [str(server / "bin" / "tritonserver"), *(f"--{name}={value}" for name, value in options.items())]


def _triton_variables(venv: Path) -> dict[str, str]:
    server = _site(venv) / "pytriton" / "tritonserver"
    python = Path(os.path.realpath(venv / "bin" / "python")).parents[1] / "lib"
    libraries = (python, server / "external_libs", _site(venv) / "nvidia_pytriton.libs")
    return {
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PYTHONPATH": f"{SCRIPTS}:{_site(venv)}",
        "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
    }


PEERS = (
    Peer(
        "triton",
        ("nvidia-pytriton==0.7.0", _TENSORFLOW),
        _triton,
        {"bin": _INFER, "oip.json": _INFER},
        "/v2/models/trunk/ready",
        _triton_variables,
    ),
    Peer(
        "kserve",
        ("kserve", _TENSORFLOW),
        _script("kserve_server.py"),
        {"bin": _INFER, "oip.json": _INFER},
        "/v2/models/trunk/ready",
    ),
    Peer(
        "litserve",
        ("litserve==0.2.19", _TENSORFLOW),
        _script("litserve_server.py"),
        {"lists.json": "/predict"},
        "/health",
    ),
)


@contextmanager
def serving(peer: Peer, folder: Path, models: Path, model: str) -> Iterator[Server]:
    """A peer that answers with a model.

    Raises:
        CannotRun: It cannot be installed, or does not start.
    """
    venv = _installed(peer)
    folder.mkdir(parents=True)
    (port,) = free_ports(1)
    url, log = f"http://127.0.0.1:{port}", folder / "out"
    variables = environment(
        {"BENCH_MODEL": str(models / model / "1"), "BENCH_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
        | peer.variables(venv)
    )
    with running(peer.command(venv, folder, model, port), log, env=variables, cwd=folder) as process:
        wait_until(lambda: answers(f"{url}{peer.ready}", lambda _: True), process, log)
        yield Server(url, process.pid)


def _installed(peer: Peer) -> Path:
    """The peer's environment, made once and kept."""
    venv = VENVS / peer.name
    done = venv / "done"
    uv = tool("uv")
    if done.exists() and done.read_text() == " ".join(peer.needs):
        return venv
    if uv is None:
        raise CannotRun("uv is missing")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    commands = (
        [uv, "venv", "--quiet", "--clear", "--python", python, str(venv)],
        [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), *peer.needs],
    )
    for command in commands:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            raise CannotRun(f"{peer.name} cannot be installed: {made.stderr.strip()[-500:]}")
    done.write_text(" ".join(peer.needs))
    return venv
