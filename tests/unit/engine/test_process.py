"""What a child process sees and says."""

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from hub.engine import process
from hub.engine.process import child_environment, relay
from hub.runtime.devices import Device


def test_a_child_sees_no_secret_of_the_hub(tmp_path: Path) -> None:
    hub = {
        "PATH": "/bin",
        "HUB_TOKEN": "s",
        "AWS_SECRET_ACCESS_KEY": "s",
        "PGPASSWORD": "s",
        "TF_TOKEN_app_terraform_io": "s",
        "TF_VAR_password": "s",
        "NVIDIA_API_KEY": "s",
        "TMPDIR": "s",
        "TF_NUM_INTEROP_THREADS": "1",
    }
    seen = child_environment(hub, Device("cpu", 0), tmp_path)
    assert "s" not in seen.values()
    assert seen["PATH"] == "/bin"
    assert seen["TF_NUM_INTEROP_THREADS"] == "1"
    assert seen["HOME"] == str(tmp_path)


def test_a_child_sees_only_its_own_gpu(tmp_path: Path) -> None:
    assert child_environment({}, Device("gpu", 1), tmp_path)["CUDA_VISIBLE_DEVICES"] == "1"
    hub = {"CUDA_VISIBLE_DEVICES": "4,6"}
    assert child_environment(hub, Device("gpu", 1), tmp_path)["CUDA_VISIBLE_DEVICES"] == "6"
    assert child_environment(hub, Device("cpu", 0), tmp_path)["CUDA_VISIBLE_DEVICES"] == "-1"


def test_a_childs_events_are_logged_at_their_level_and_its_chatter_below_all(monkeypatch: pytest.MonkeyPatch) -> None:
    structlog.reset_defaults()
    monkeypatch.setattr(process, "_log", structlog.get_logger())  # one that no other test's configuration is cached in
    with capture_logs() as logs:
        relay(b'{"event": "version.loaded", "level": "warning", "bytes": 5}\n', child="worker", pid=7)
        relay(b"WARNING: \xff chatter\n", child="worker", pid=7)
        relay(b'{"event": "x", "level": "nonsense"}\n', child="worker", pid=7)
        relay(b"[1, 2]\n", child="worker", pid=7)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("version.loaded", "warning"),
        ("child.said", "debug"),
        ("child.said", "debug"),
        ("child.said", "debug"),
    ]
    assert logs[0]["bytes"] == 5
