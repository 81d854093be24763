"""Choices: how signatures were found to be called best, remembered on disk by kind of device.

Laws: what cannot be read is unknown, and is measured anew; another version of TensorFlow, and a hub whose ways are
others, know nothing of what was measured with these.
"""

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import orjson
import structlog

from hub.runtime.devices import Device
from hub.runtime.orders import WAYS_REVISION, Choice

_log = structlog.get_logger()


class Choices:
    """What workers told of versions."""

    def __init__(self, folder: Path) -> None:
        """Keep them below ``folder``."""
        self._folder = folder / f"tensorflow-{version('tensorflow')}-ways-{WAYS_REVISION}"
        self._known: dict[tuple[str, str], Mapping[str, Choice]] = {}

    def of(self, digest: str, device: Device) -> Mapping[str, Choice]:
        """What is known of a version's signatures, by name."""
        key = (device.kind, digest)
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def known(self, digests: Iterable[str], device: Device) -> dict[str, Mapping[str, Choice]]:
        """What is known of versions without asking the disk, by digest."""
        keys = {digest: (device.kind, digest) for digest in digests}
        return {digest: self._known[key] for digest, key in keys.items() if key in self._known}

    def note(self, digest: str, device: Device, choices: Mapping[str, Choice]) -> None:
        """Remember what a worker found out."""
        key = (device.kind, digest)
        self._known[key] = choices
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}.tmp")
            fresh.write_bytes(orjson.dumps({name: choice.dump() for name, choice in choices.items()}))
            fresh.rename(path)
        except OSError as error:
            _log.warning("choices.unsaved", digest=digest, reason=error.strerror)

    def _read(self, key: tuple[str, str]) -> Mapping[str, Choice]:
        try:
            data = orjson.loads(self._path(key).read_bytes())
            return {name: Choice.parse(choice) for name, choice in data.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _path(self, key: tuple[str, str]) -> Path:
        kind, digest = key
        return self._folder / kind / f"{digest.removeprefix('sha256:')}.json"
