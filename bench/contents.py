"""What is moved: SavedModels of a given size, each of fresh content, made before anything is timed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, CannotRun, environment

SMALL_FILES = 2_000
SMALL_BYTES = 50_000
_VARIABLES = 128
_ROW_BYTES = 4 * 1_024
_SHOWN_ERROR = 2_000


@dataclass(frozen=True, slots=True)
class Contents:
    """SavedModels below one folder, made on demand and kept."""

    folder: Path
    size_mb: int

    def make_large(self, rounds: int) -> None:
        """Make the large model of every round, and that of the first with a tenth of its variables changed."""
        recipes = [*(str(number) for number in range(rounds)), "0:1000"]
        rows = max(1, (self.size_mb << 20) // (_VARIABLES * _ROW_BYTES))
        _tensorflow("tensors", str(self.folder / "large"), str(rows), *recipes)

    def large(self, number: int) -> Path:
        """The large model of a round."""
        return self.folder / "large" / str(number)

    @property
    def changed(self) -> Path:
        """The large model of the first round with a tenth of its variables changed."""
        return self.folder / "large" / "0:1000"

    def small(self, number: int) -> Path:
        """A small model that comes with many small files, which are others in every round."""
        model = self.folder / "small" / str(number)
        if not model.exists():
            base = self.folder / "base"
            if not base.exists():
                _tensorflow("tensors", str(base), "1", "0")
            shutil.copytree(base / "0", model)
            extra = model / "assets.extra"
            extra.mkdir()
            for index in range(SMALL_FILES):
                (extra / f"{index:04}.bin").write_bytes(os.urandom(SMALL_BYTES))
        return model

    def keras(self, classes: int) -> Path:
        """A MobileNetV2 with a head of so many classes."""
        model = self.folder / "keras" / str(classes)
        if not model.exists():
            _tensorflow("keras", str(model), str(classes))
        return model


def _tensorflow(*arguments: str) -> None:
    command = [sys.executable, "-m", "bench.make_model", *arguments]
    variables = environment({"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"})
    made = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, check=False)
    if made.returncode != 0:
        raise CannotRun(f"TensorFlow could not make a model: {made.stderr.decode()[-_SHOWN_ERROR:]}")


def files_of(folder: Path) -> list[Path]:
    """Every file below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def size_of(folder: Path) -> int:
    """Bytes of every file below a folder."""
    return sum(path.stat().st_size for path in files_of(folder))


def write_digests(folder: Path, target: Path) -> Path:
    """Write the sha256 of every file below a folder, for those who have to check what they fetched."""
    digests = {}
    for path in files_of(folder):
        with path.open("rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    target.write_text(json.dumps(digests))
    return target


def read_all(folder: Path) -> None:
    """Read every file once, so that all contenders find them in memory."""
    for path in files_of(folder):
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 22):
                pass
