"""Devices by name, found without TensorFlow."""

from pathlib import Path

import pytest

from hub.domain.errors import InvalidName
from hub.runtime.devices import Device, find_devices


@pytest.mark.parametrize("name", ["cpu:0", "cpu:1", "gpu:7"])
def test_a_name_is_the_same_after_being_read(name: str) -> None:
    assert str(Device.parse(name)) == name


@pytest.mark.parametrize("name", ["", "cpu", "tpu:0", "gpu:-1", "GPU:0", "cpu:0 "])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        Device.parse(name)


def test_without_a_gpu_there_is_one_cpu(tmp_path: Path) -> None:
    (tmp_path / "nvidiactl").touch()
    assert find_devices({}, tmp_path) == ["cpu:0"]


def test_every_visible_gpu_is_a_device(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert find_devices({}, tmp_path) == ["gpu:0", "gpu:1", "gpu:2"]
    assert find_devices({"CUDA_VISIBLE_DEVICES": "2,0"}, tmp_path) == ["gpu:0", "gpu:1"]
    assert find_devices({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, tmp_path) == ["gpu:0"]
    assert find_devices({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == ["cpu:0"]
    assert find_devices({"CUDA_VISIBLE_DEVICES": "GPU-1f,GPU-2e"}, tmp_path) == ["gpu:0", "gpu:1"]


def test_parts_of_one_gpu_are_devices_of_their_own(tmp_path: Path) -> None:
    parts = {"CUDA_VISIBLE_DEVICES": "MIG-aa, MIG-bb,MIG-cc"}
    assert find_devices(parts, tmp_path) == ["cpu:0"]
    (tmp_path / "nvidia0").touch()
    assert find_devices(parts, tmp_path) == ["gpu:0", "gpu:1", "gpu:2"]
    assert Device("gpu", 1).visible_gpus(parts) == "MIG-bb"


def test_a_gpu_beyond_the_visible_ones_sees_none() -> None:
    assert Device("gpu", 2).visible_gpus({"CUDA_VISIBLE_DEVICES": "0,1"}) == "-1"
