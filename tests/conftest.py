"""What every test directory may use: tiny real SavedModels, and versions published from them."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from hub.domain.digests import digest_of
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import BlobRef, File, Kind, Manifest
from hub.domain.signatures import Signature
from hub.storage.blobs.memory import MemoryBlobStore

pytest_plugins = ["tests.support.postgresql", "tests.support.s3_servers"]
SUPPORT = Path(__file__).parent / "support"
SLOW_ROOMS = ("browser", "contract", "e2e", "faults", "gpu", "integration")
Publish = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to ``make test`` what needs servers, databases, browsers or TensorFlow."""
    for item in items:
        room = item.path.relative_to(Path(__file__).parent).parts[0]
        if room in SLOW_ROOMS:
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """Leave logging as it was: commands that run in this process send logs to a stderr that ends with their test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny SavedModels, each with a ``NAME.json`` of its signatures; see ``support/engine_models.py``."""
    folder = tmp_path_factory.mktemp("tiny-models")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, str(SUPPORT / "engine_models.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return folder


def tiny_signatures(folder: Path) -> dict[str, Signature]:
    """The signatures that the maker wrote beside a tiny model."""
    described = orjson.loads(folder.with_suffix(".json").read_bytes())
    return {entry["name"]: Signature.model_validate(entry) for entry in described}


@pytest.fixture(scope="session")
def publish() -> Publish:
    """Put a directory into a blob store as a version, and give its digest."""

    def put(blobs: MemoryBlobStore, folder: Path, *, trunk: str | None = None, **facts: object) -> str:
        files = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            data = path.read_bytes()
            digest = digest_of(data)
            blobs.put(digest, [data], len(data))
            parts = (BlobRef(digest=digest, size=len(data)),) if data else ()
            relative = path.relative_to(folder).as_posix()
            files.append(File(path=relative, size=len(data), digest=digest, blobs=parts))
        facts = facts or {"signatures": tiny_signatures(folder)}
        edge = (Edge(kind=EdgeKind.HEAD_OF, model="tests/trunk", number=1, digest=trunk),) if trunk else ()
        manifest = Manifest(
            kind=Kind.HEAD if trunk else Kind.TRUNK,
            files=tuple(files),
            tuning_face=None,
            tensors=(),
            lineage=edge,
            **facts,
        )
        canonical = manifest.canonical()
        blobs.put(manifest.digest(), [canonical], len(canonical))
        return manifest.digest()

    return put
