"""Answers made of parts of blobs: moved from file to socket where both are there, read and written otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from anyio import to_thread
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hub.api.connection import ZERO_COPY
from hub.services.pull import Part, Pulls, lost_where_not_found
from hub.storage.blobs.store import FileStore

_WORTH_BYTES = 256 << 10


class BlobResponse(Response):
    """The bytes of parts, one after the other."""

    def __init__(self, pulls: Pulls, parts: Sequence[Part], **options: Any) -> None:
        """Prepare; ``options`` are those of a response without a body."""
        super().__init__(**options)
        self._blobs = pulls.blobs
        self._parts = parts
        self._size = sum(part.length for part in parts)
        self.headers["content-length"] = str(self._size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises:
            BlobLost: One is not stored any more; nothing was sent where it is the first.
        """
        extensions: Mapping[str, Any] = scope.get("extensions") or {}
        files = self._blobs.files
        if files is not None and ZERO_COPY in extensions and self._size >= _WORTH_BYTES:
            await self._move(files, send)
            return
        pieces = await to_thread.run_sync(self._opened)
        read = StreamingResponse(pieces, status_code=self.status_code)
        read.raw_headers = self.raw_headers
        await read(scope, receive, send)

    async def _move(self, files: FileStore, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        last = len(self._parts) - 1
        for number, part in enumerate(self._parts):
            with lost_where_not_found():
                file = await to_thread.run_sync(files.open_file, part.digest)
            with file:
                if number == 0:
                    await send(start)
                message = {"type": ZERO_COPY, "file": file, "offset": part.start, "count": part.length}
                await send({**message, "more_body": number < last})

    def _opened(self) -> Iterator[bytes]:
        """All the bytes; the first part is open already."""
        opened = iter([self._open(part) for part in self._parts[:1]])
        return chain.from_iterable(chain(opened, map(self._open, self._parts[1:])))

    def _open(self, part: Part) -> Iterator[bytes]:
        with lost_where_not_found():
            return self._blobs.open(part.digest, part.start, part.length)
