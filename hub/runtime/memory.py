"""Memory of this process and this machine, in bytes."""

import ctypes
import gc
import os
import subprocess
from pathlib import Path

import tensorflow as tf

from hub.domain.errors import NotAvailable
from hub.runtime.devices import Device

_CPU_SHARE = 0.5
_GPU_SHARE = 0.8
_ASK_S = 20
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_STATUS = Path("/proc/self/status")


def resident_bytes(field: str = "VmRSS") -> int:
    """Bytes resident now (``VmRSS``; ``RssAnon`` without files and shared memory), or at the highest (``VmHWM``).

    0 where the kernel does not tell that.
    """
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) << 10
    return 0


def used_bytes(device: Device) -> int:
    """Bytes in use where the device keeps variables."""
    if device.kind == "gpu":
        return int(tf.config.experimental.get_memory_info("GPU:0")["current"])
    return resident_bytes("RssAnon") or resident_bytes()


def default_budget(device: Device) -> int:
    """What versions may take together: half of the machine's memory, or four fifths of the GPU's."""
    if device.kind == "gpu":
        return int(_gpu_bytes() * _GPU_SHARE)
    return int(_machine_bytes() * _CPU_SHARE)


def _gpu_bytes() -> int:
    """All memory of this worker's GPU, which TensorFlow itself does not tell.

    Raises:
        NotAvailable: Neither the driver's tool nor the driver knows it.
    """
    gpu = os.environ["CUDA_VISIBLE_DEVICES"]
    if gpu.startswith("MIG-"):  # the tool tells of whole GPUs only
        return _driver_bytes(gpu)
    command = ["nvidia-smi", f"--id={gpu}", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_S, check=True).stdout
        return int(answer.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        raise _unknown(gpu) from error


def _driver_bytes(gpu: str) -> int:
    """All memory of the only device that this process sees, by the driver itself.

    Source: CUDA Driver API, ``cuInit``, ``cuDeviceGet``, ``cuDeviceTotalMem``.
    """
    device, total = ctypes.c_int(), ctypes.c_size_t()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        codes = [driver.cuInit(0), driver.cuDeviceGet(ctypes.byref(device), 0)]
        codes.append(driver.cuDeviceTotalMem_v2(ctypes.byref(total), device))
    except (OSError, AttributeError) as error:
        raise _unknown(gpu) from error
    if any(codes):
        raise _unknown(gpu)
    return total.value


def _unknown(gpu: str) -> NotAvailable:
    remedy = "Set the workers' memory budget yourself, or install nvidia-smi."
    return NotAvailable(f"The memory of GPU {gpu} is not known.", remedy=remedy)


def _machine_bytes() -> int:
    total = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else "max"
    return total if limit == "max" else min(total, int(limit))


def freeze() -> None:
    """Take what is alive out of the garbage collector's sight: TensorFlow alone leaves 270,000 objects to walk."""
    gc.collect()
    gc.freeze()


def release() -> None:
    """Collect what was unloaded and hand free pages back to the machine."""
    gc.unfreeze()
    freeze()
    ctypes.CDLL(None).malloc_trim(0)
