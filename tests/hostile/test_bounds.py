"""What looking at a bomb costs: bounded memory, in a process that has no more, and without TensorFlow."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import bombs, variables  # noqa: F401 - they put their kinds into KINDS
from tests.hostile.corpus import KINDS, Case
from tests.support.savedmodel_writer import ModelWriter

MORE_BYTES = 512 << 20
"""What the scan may take beyond the process itself, whatever the file says."""
ENDS_WITHIN_S = 120
BOMBS = [name for name in KINDS if name.startswith(("parse_", "scan_", "const_", "exponential", "deep_", "vars_"))]
_SCAN = """
import json, resource, sys
from pathlib import Path
from hub.savedmodel.inspect import inspect
from hub.savedmodel.op_policy import policies
policies()
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (most, most))
rules = {}
for root in sys.argv[2:]:
    rules[root] = sorted({found.rule for found in inspect(Path(root)).report.errors()})
heavy = sorted(name for name in ("tensorflow", "keras", "numpy") if name in sys.modules)
print(json.dumps({"rules": rules, "heavy": heavy}))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="how much a process has is known on Linux only"),
]


def scanned(*roots: Path) -> dict:
    """What a process of its own, with little memory left, says of models."""
    done = subprocess.run(
        [sys.executable, "-c", _SCAN, str(MORE_BYTES), *map(str, roots)],
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_all_bombs_are_answered_in_little_memory_and_without_tensorflow(tmp_path: Path) -> None:
    cases = {name: Case(ModelWriter(tmp_path / name), tmp_path / "proof", tmp_path / "canary") for name in BOMBS}
    roots = {name: KINDS[name].make(case) for name, case in cases.items()}
    said = scanned(*roots.values())
    assert said["heavy"] == []
    missed = [name for name in BOMBS if KINDS[name].refused_by not in [*said["rules"][str(roots[name])], ""]]
    assert missed == []


def test_the_limit_is_one(tmp_path: Path) -> None:
    code = _SCAN.split("rules = {}")[0] + "bytearray(int(sys.argv[1]) + (64 << 20))"
    done = subprocess.run([sys.executable, "-c", code, str(MORE_BYTES)], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr
