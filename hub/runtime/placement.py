"""Placement: tying this process to its device before TensorFlow computes anything.

Laws: ``claim`` comes before the first operation; inside ``on(device)`` variables are made and operations run on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from hub.domain.errors import NotAvailable
from hub.runtime.devices import Device


def claim(device: Device) -> None:
    """Prepare TensorFlow for the device.

    A GPU's memory is taken as it is needed, not whole. ``cpu:N`` with N > 0 is a logical device beside ``cpu:0``.

    Raises:
        NotAvailable: TensorFlow sees no such device.
    """
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
