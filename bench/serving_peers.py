"""The other servers: what each needs, how it is started, and which bodies it takes where."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGKILL

from bench.measure import tree
from bench.processes import ROOT, STOP_S, CannotRun, environment, free_ports, running, tool, wait_until
from bench.servers import Server, answers
from bench.serving_bodies import Spec

SCRIPTS = ROOT / "bench" / "peers"
VENVS = ROOT / "build" / "bench" / "venvs"
_MODEL = "trunk"
_INFER = f"/v2/models/{_MODEL}/infer"
_READY = f"/v2/models/{_MODEL}/ready"
_TENSORFLOW = "tensorflow==2.21.0"
_SHOWN_ERROR = 500
_START_S = 300


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a peer is started.

    Attributes:
        venv: Its environment.
        folder: A folder of its own, and its working directory.
        spec: Of the model.
        port: For HTTP.
        rpc_port: For gRPC.
    """

    venv: Path
    folder: Path
    spec: Spec
    port: int
    rpc_port: int

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.venv / "bin" / "python")

    @property
    def packages(self) -> Path:
        """Where its packages lie."""
        return next((self.venv / "lib").iterdir()) / "site-packages"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server of somebody else.

    Attributes:
        name: Its name.
        needs: What is installed into its environment.
        command: Starts it.
        places: By kind of body the path, over gRPC the model's name.
        ready: Answers once it can be asked.
        variables: Of its environment.
    """

    name: str
    needs: tuple[str, ...]
    command: Callable[[Stage], list[str]]
    places: Mapping[str, str]
    ready: str
    variables: Callable[[Stage], dict[str, str]] = field(default=lambda _: {})


def _script(name: str) -> Callable[[Stage], list[str]]:
    return lambda stage: [stage.python, str(SCRIPTS / name)]


def _triton(stage: Stage) -> list[str]:
    """The real ``tritonserver`` of NVIDIA's wheel, with its Python backend and batching of what waits."""
    server = stage.packages / "pytriton" / "tritonserver"
    backend = stage.folder / "backends" / "python"
    shutil.copytree(server / "backends" / "python", backend)
    stub = f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copy(server / "python_backend_stubs" / stub / "triton_python_backend_stub", backend)
    (backend / "triton_python_backend_stub").chmod(0o755)
    version = stage.folder / "models" / _MODEL / "1"
    version.mkdir(parents=True)
    shutil.copy(SCRIPTS / "triton_model.py", version / "model.py")
    kind = {"FP32": "TYPE_FP32", "BYTES": "TYPE_STRING"}[stage.spec.datatype]
    ragged = "allow_ragged_batch: true" if -1 in stage.spec.dims else ""
    (version.parent / "config.pbtxt").write_text(
        f'name: "{_MODEL}" backend: "python" max_batch_size: 32 instance_group [ {{ kind: KIND_CPU count: 1 }} ] '
        f'input [ {{ name: "x" data_type: {kind} dims: [ {", ".join(map(str, stage.spec.dims))} ] {ragged} }} ] '
        f'output [ {{ name: "features" data_type: TYPE_FP32 dims: [ {stage.spec.features} ] }} ] dynamic_batching {{ }}'
    )
    (metrics,) = free_ports(1)
    options = {"model-repository": stage.folder / "models", "backend-directory": stage.folder / "backends"}
    options |= {"http-port": stage.port, "grpc-port": stage.rpc_port, "metrics-port": metrics}
    options |= {"http-address": "127.0.0.1", "grpc-address": "127.0.0.1"}
    return [str(server / "bin" / "tritonserver"), *(f"--{name}={value}" for name, value in options.items())]


def _triton_variables(stage: Stage) -> dict[str, str]:
    server = stage.packages / "pytriton" / "tritonserver"
    python = Path(os.path.realpath(stage.python)).parents[1] / "lib"
    libraries = (python, server / "external_libs", stage.packages / "nvidia_pytriton.libs")
    return {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "PYTHONPATH": f"{SCRIPTS}:{stage.packages}"}


def _mlserver(stage: Stage) -> list[str]:
    """MLServer with one worker process, and batches where rows are alike: it cannot stack others."""
    (metrics,) = free_ports(1)
    server = {"host": "127.0.0.1", "http_port": stage.port, "grpc_port": stage.rpc_port, "metrics_port": metrics}
    server |= {"debug": False, "parallel_workers": 1, "grpc_max_message_length": -1}
    model: dict[str, object] = {"name": _MODEL, "implementation": "mlserver_runtime.Trunk"}
    if -1 not in stage.spec.dims:
        model |= {"max_batch_size": 32, "max_batch_time": 0.002}
    (stage.folder / "settings.json").write_text(json.dumps(server))
    (stage.folder / "model-settings.json").write_text(json.dumps(model))
    return [str(stage.venv / "bin" / "mlserver"), "start", str(stage.folder)]


def _bentoml(stage: Stage) -> list[str]:
    bound = ["--host", "127.0.0.1", "--port", str(stage.port), "--working-dir", str(SCRIPTS)]
    return [str(stage.venv / "bin" / "bentoml"), "serve", "bentoml_service:Trunk", *bound]


PEERS = (
    Peer(
        "triton",
        ("nvidia-pytriton==0.7.0", _TENSORFLOW),
        _triton,
        {"bin": _INFER, "oip.json": _INFER, "grpc": _MODEL},
        _READY,
        _triton_variables,
    ),
    Peer(
        "kserve",
        ("kserve==0.21.0", _TENSORFLOW),
        _script("kserve_server.py"),
        {"bin": _INFER, "oip.json": _INFER, "grpc": _MODEL},
        _READY,
    ),
    Peer(
        "mlserver",
        ("mlserver==1.7.1", "uvloop<0.22", _TENSORFLOW),  # its workers do not start with newer ones
        _mlserver,
        {"oip.json": _INFER, "grpc": _MODEL},
        _READY,
        lambda _: {"PYTHONPATH": str(SCRIPTS)},
    ),
    Peer(
        "rayserve",
        ("ray[serve]==2.60.0", _TENSORFLOW),
        _script("rayserve_app.py"),
        {"raw": "/predict", "lists.json": "/predict"},
        "/-/healthz",
        lambda _: {"PYTHONPATH": str(SCRIPTS), "RAY_USAGE_STATS_ENABLED": "0"},
    ),
    Peer(
        "bentoml",
        ("bentoml==1.4.40", _TENSORFLOW),
        _bentoml,
        {"lists.json": "/predict", "b64.json": "/predict_bytes"},
        "/readyz",
        lambda stage: {"BENTOML_HOME": str(stage.folder), "BENTOML_DO_NOT_TRACK": "True"},
    ),
    Peer(
        "litserve",
        ("litserve==0.2.19", _TENSORFLOW),
        _script("litserve_server.py"),
        {"lists.json": "/predict"},
        "/health",
    ),
    Peer(
        "mlflow",
        ("mlflow==3.17.2", _TENSORFLOW),
        _script("mlflow_server.py"),
        {"tfs.json": "/invocations"},
        "/ping",
        lambda _: {"PYTHONPATH": str(SCRIPTS), "MLFLOW_DISABLE_TELEMETRY": "true"},
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
    port, rpc_port = free_ports(2)
    stage = Stage(venv, folder, Spec.read(models, model), port, rpc_port)
    url, log = f"http://127.0.0.1:{port}", folder / "out"
    variables = environment(
        {
            "BENCH_MODEL": str(models / model / "1"),
            "BENCH_SPEC": json.dumps(asdict(stage.spec)),
            "BENCH_PORT": str(port),
            "BENCH_RPC_PORT": str(rpc_port),
            "CUDA_VISIBLE_DEVICES": "",
            "PATH": f"{venv / 'bin'}:{os.environ['PATH']}",
        }
        | peer.variables(stage)
    )
    with running(peer.command(stage), log, env=variables, cwd=folder) as process, _wholly(process):
        wait_until(lambda: answers(f"{url}{peer.ready}", lambda _: True), process, log, within_s=_START_S)
        yield Server(url, process.pid, rpc=f"127.0.0.1:{rpc_port}")


@contextmanager
def _wholly(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End a server with all that it started, also what it would leave behind."""
    try:
        yield
    finally:
        begun = {pid: _began(pid) for pid in tree([process.pid])}
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        for pid, began in begun.items():
            if began is not None and _began(pid) == began:
                with suppress(ProcessLookupError):
                    os.kill(pid, SIGKILL)


def _began(pid: int) -> str | None:
    """When a process began, which tells it from a later one of the same number. Source: proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


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
            raise CannotRun(f"{peer.name} cannot be installed: {made.stderr.strip()[-_SHOWN_ERROR:]}")
    done.write_text(" ".join(peer.needs))
    return venv
