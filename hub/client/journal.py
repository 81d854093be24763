"""The journal of an unfinished pull: which blobs are there, written down one by one, for the process that goes on.

Law: a blob is noted after its bytes were written, so a killed process loses at most the blobs in flight. Bytes that
came wrong, or that a power cut lost, are found by the check of whole files, whoever noted them.
"""

import os
import threading
from pathlib import Path

from hub.domain.digests import is_digest


class Journal:
    """Digests, one a line, appended as they come; used from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Read what is there; a last line that was cut short does not count."""
        self._path = path
        self._turn = threading.Lock()
        text = path.read_text(encoding="ascii", errors="replace") if path.exists() else ""
        self.done = frozenset(line for line in text.split("\n") if is_digest(line))

    def note(self, digest: str) -> None:
        """Write down that a blob is there."""
        with self._turn:
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(handle, f"\n{digest}\n".encode())
            finally:
                os.close(handle)
