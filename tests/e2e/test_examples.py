"""The examples and the fine-tuning guide against a hub in processes of its own: every claim they make holds."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
MISTAKE = """
import keras
import hub

image = keras.Input((4,), name="image")
hub.push(keras.Model(image, keras.layers.Dense(3, name="features")(image)), "acme/trunk")
grown = keras.Sequential([keras.Input((4,)), hub.trunk("acme/trunk"), keras.layers.Dense(2, name="kind")])
hub.push(grown, "acme/head")
try:
    hub.trunk("acme/head")
except hub.errors.InvalidModel as error:
    print(error.detail)
"""
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(program: Path, running_hub: Any, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a user would, its hub named by the environment."""
    return subprocess.run(
        [sys.executable, str(program)],
        env=running_hub.environment | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )


@pytest.mark.parametrize(("example", "steps"), [("two_heads", 11), ("dynamic_rnn", 5)])
def test_every_claim_of_an_example_holds(example: str, steps: int, running_hub: Any, tmp_path: Path) -> None:
    done = run(ROOT / "examples" / f"{example}.py", running_hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == steps
    assert "✗" not in done.stdout


def test_the_guide_to_training_curves_runs_and_its_curves_are_there(running_hub: Any, tmp_path: Path) -> None:
    program = tmp_path / "guide.py"
    program.write_text("\n".join(PYTHON_BLOCK.findall((ROOT / "docs/how-to/training-curves.md").read_text())))
    done = run(program, running_hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "('train', 'epoch_loss', 3)" in done.stdout
    assert "('validation', 'epoch_accuracy', 3)" in done.stdout


def test_the_guide_to_fine_tuning_runs_from_top_to_bottom(running_hub: Any, tmp_path: Path) -> None:
    guide = (ROOT / "docs/how-to/fine-tune.md").read_text()
    program = tmp_path / "guide.py"
    program.write_text("\n".join(PYTHON_BLOCK.findall(guide)))
    done = run(program, running_hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo/small-eye@1" in done.stdout
    assert running_hub.cli("lineage", "demo/tuned-eye@1").stdout.count("demo/small-eye@1") >= 1


def test_a_head_is_not_taken_for_a_trunk(running_hub: Any, tmp_path: Path) -> None:
    program = tmp_path / "mistake.py"
    program.write_text(MISTAKE)
    done = run(program, running_hub, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "acme/head@1 is a head" in done.stdout


@pytest.mark.faults
def test_a_demo_that_is_told_to_end_takes_its_hub_along(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HUB_")}
    command = [sys.executable, "-m", "hub.cli.main", "demo", "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, env=environment | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        url = demo.stdout.readline().decode().split()[-1]
        demo.terminate()
        assert demo.wait(120) == 128 + signal.SIGTERM
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url)
