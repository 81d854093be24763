"""Devices by name: ``gpu:0``, ``cpu:0``. Free of TensorFlow: the engine counts them without loading it.

Law: a worker owns exactly one device; ``gpu:N`` means the N-th GPU that ``CUDA_VISIBLE_DEVICES`` leaves visible, which
may be a part of one (MIG), of which a process can only see one.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from hub.domain.errors import InvalidName

_NAME = re.compile(r"(cpu|gpu):(\d{1,3})")
_GPU_NODE = re.compile(r"nvidia(\d+)")
_NO_GPU = "-1"
_PART_OF_GPU = "MIG-"


@dataclass(frozen=True, slots=True)
class Device:
    """What one worker computes on."""

    kind: Literal["cpu", "gpu"]
    index: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.index}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``gpu:0`` or ``cpu:0``.

        Raises:
            InvalidName: It is neither.
        """
        match = _NAME.fullmatch(text)
        if not match:
            raise InvalidName(f"{text!r} is not a device.", remedy="Write cpu:0 or gpu:0, for instance.")
        return cls("cpu" if match[1] == "cpu" else "gpu", int(match[2]))

    def visible_gpus(self, environment: Mapping[str, str]) -> str:
        """What ``CUDA_VISIBLE_DEVICES`` must say in this device's worker: its own GPU, or none where there is none."""
        if self.kind == "cpu":
            return _NO_GPU
        listed = environment.get("CUDA_VISIBLE_DEVICES")
        if listed is None:
            return str(self.index)
        chosen = listed.split(",")
        return chosen[self.index].strip() if self.index < len(chosen) else _NO_GPU


def find_devices(environment: Mapping[str, str] = os.environ, dev: Path = Path("/dev")) -> list[str]:
    """Every GPU that is visible here, else one CPU."""
    found = sorted(int(match[1]) for node in dev.glob("nvidia*") if (match := _GPU_NODE.fullmatch(node.name)))
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        chosen = [entry.strip() for entry in listed.split(",")]
        before_invalid = chosen[: chosen.index(_NO_GPU)] if _NO_GPU in chosen else chosen
        parts = sum(entry.startswith(_PART_OF_GPU) for entry in before_invalid)
        whole = sum(bool(entry) for entry in before_invalid) - parts
        found = list(range(min(len(found), whole) + parts if found else 0))
    return [f"gpu:{index}" for index in range(len(found))] or ["cpu:0"]
