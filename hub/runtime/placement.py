"""Placement: tying this process to its device before TensorFlow computes anything.

Several streams compute at once where that uses the device better than one: on a CPU each stream has cores of its own
(one request rarely keeps several busy), on a GPU the copies of one overlap the work of the other.

Laws: ``claim`` comes before the first operation; inside ``on(device)`` variables are made and operations run on it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from hub.domain.errors import NotAvailable
from hub.runtime.devices import Device

_MOST_STREAMS = 4
_GPU_STREAMS = 2


def streams(device: Device) -> int:
    """How many requests or batches a device computes at once."""
    return _GPU_STREAMS if device.kind == "gpu" else min(_MOST_STREAMS, _cores())


def _threads(device: Device) -> int:
    """Threads for the operations of one stream; 0 lets TensorFlow decide."""
    return 0 if device.kind == "gpu" else max(1, _cores() // streams(device))


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def claim(device: Device) -> None:
    """Prepare TensorFlow for the device.

    A GPU's memory is taken as it is needed, not whole. ``cpu:N`` with N > 0 is a logical device beside ``cpu:0``.

    Raises:
        NotAvailable: TensorFlow sees no such device.
    """
    tf.config.threading.set_intra_op_parallelism_threads(_threads(device))
    if device.kind == "cpu":
        tf.config.set_visible_devices([], "GPU")
        physical = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration() for _ in range(device.index + 1)]
        tf.config.set_logical_device_configuration(physical, logical)
        return
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise NotAvailable(f"TensorFlow sees no GPU for {device}.", remedy="Check the driver, or serve on cpu:0.")
    tf.config.experimental.set_memory_growth(gpus[0], True)


def session_config(device: Device, *, is_inline: bool = False) -> tf.compat.v1.ConfigProto:
    """What a session is made with: it makes its own devices, and must be told how many this process has.

    Args:
        device: What it computes on.
        is_inline: Whether it computes in the calling thread.
    """
    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    config.intra_op_parallelism_threads = _threads(device)
    config.experimental.disable_thread_spinning = True  # who spins for work takes the time of those that have some
    config.gpu_options.allow_growth = True
    if device.kind == "cpu":
        config.device_count["GPU"] = 0
        config.device_count["CPU"] = device.index + 1
    if is_inline:
        config.experimental.executor_type = "SINGLE_THREADED_EXECUTOR"
    return config


@contextmanager
def exact() -> Iterator[None]:
    """Compute in the full precision of float32, where a GPU would round factors to 10 bits (TensorFloat-32).

    It holds for all of the process. What is set up meanwhile for a shape, such as the algorithm of a convolution, stays
    that shape's: shapes that are served are better not called inside.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@contextmanager
def on(device: Device) -> Iterator[None]:
    """Create and compute on the device.

    A GPU's worker sees only its own GPU, where TensorFlow places everything that has a kernel for it by itself; naming
    it would force strings and tables onto it as well. The same holds for the only CPU.
    """
    if device.index == 0 or device.kind == "gpu":
        yield
        return
    with tf.device(f"/CPU:{device.index}"):
        yield
