"""Golden samples as files for the workers, which warm versions up with them; each reads them on its own shelf.

Law: a version whose samples cannot be had is warmed up with made-up inputs: that is logged, and nothing else.
"""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from hub.domain.errors import HubError

ReadGolden = Callable[[str], bytes | None]
_log = structlog.get_logger()


class Goldens:
    """Files by version digest."""

    def __init__(self, read: ReadGolden) -> None:
        """Write what ``read`` gives for a version's digest."""
        self._read = read

    def path(self, digest: str, folder: Path) -> Path | None:
        """The file in a folder with a version's samples; None where it has none.

        Reads the stores, so not for the event loop.
        """
        path = folder / f"{digest.removeprefix('sha256:')}.npz"
        if path.is_file():
            return path
        try:
            data = self._read(digest)
            if data is None:
                return None
            folder.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}.{id(data)}")
            fresh.write_bytes(data)
            fresh.rename(path)
        except (HubError, OSError) as error:
            _log.warning("golden.unreadable", digest=digest, reason=str(error))
            return None
        return path
