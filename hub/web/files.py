"""The page of a version's files and the tensors in them, and the files themselves.

Laws: bytes leave as an attachment, never as a page of this origin; a list is shown in pages, however long it is.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from hub.domain.manifest import Manifest, TensorEntry
from hub.domain.tensors import short_name
from hub.protocol import paths
from hub.services.pull import GIVEN_OUT
from hub.web.looks import chosen_number, look_at
from hub.web.shell import render
from hub.web.visits import Visit

ROWS = 100
_MOST_BLOCKS = 16
_DEEPEST = 4
_NO_WEIGHTS = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter")
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Part(Generic[_Item]):
    """One page of a list."""

    items: Sequence[_Item]
    number: int
    pages: int
    total: int


@dataclass(frozen=True, slots=True)
class Block:
    """Tensors whose names begin alike; ``share`` of all their bytes, from 0 to 100."""

    name: str
    tensors: int
    parameters: int
    size: int
    share: int


def show_files(visit: Visit) -> Response:
    """The files of a version, its tensors, and how they are nested."""
    look, query = look_at(visit, "files"), visit.request.query_params
    search = "".join(char for char in query.get("q", "").strip() if char.isprintable())[:100]
    if look.version is None or look.version.state not in GIVEN_OUT:
        return render(visit.request, "files.html", look=look, manifest=None, api=paths.model(look.model.name))
    version = look.version
    manifest = visit.house.pulls.contents(visit.principal, version.model, version.number)
    tensors = [tensor for tensor in manifest.tensors if search.lower() in tensor.name.lower()]
    return render(
        visit.request,
        "files.html",
        api=paths.manifest(version.model, version.number),
        look=look,
        manifest=manifest,
        search=search,
        files=part_of(sorted(manifest.files, key=lambda file: file.path), visit.number("files")),
        tensors=part_of(tensors, visit.number("tensors")),
        blocks=blocks_of(manifest),
    )


def part_of(items: Sequence[_Item], number: int | None) -> Part[_Item]:
    """The numbered page of a list, or the nearest there is."""
    pages = max(1, math.ceil(len(items) / ROWS))
    number = min(number or 1, pages)
    return Part(items[(number - 1) * ROWS : number * ROWS], number, pages, len(items))


def blocks_of(manifest: Manifest) -> list[Block]:
    """The weights by the part of the network they are in, the largest first; as deep as it takes to tell two apart."""
    weights = [tensor for tensor in manifest.tensors if not tensor.name.startswith(_NO_WEIGHTS)]
    blocks: dict[str, list[TensorEntry]] = {}
    for depth in range(1, _DEEPEST + 1):
        blocks = defaultdict(list)
        for tensor in weights:
            blocks["/".join(short_name(tensor.name).split("/")[:depth])].append(tensor)
        if len(blocks) > 1:
            break
    total = sum(tensor.size for tensor in weights) or 1
    made = [_block(name, tensors, total) for name, tensors in blocks.items()]
    return sorted(made, key=lambda block: (-block.size, block.name))[:_MOST_BLOCKS]


def _block(name: str, tensors: Sequence[TensorEntry], total: int) -> Block:
    size = sum(tensor.size for tensor in tensors)
    return Block(
        name, len(tensors), sum(math.prod(tensor.shape) for tensor in tensors), size, round(100 * size / total)
    )


def download(visit: Visit) -> Response:
    """The bytes of a file of a version."""
    name, path = visit.model_name, visit.request.path_params["path"]
    number = chosen_number(visit.request.path_params["number"], name) or 0
    pulls = visit.house.pulls
    file = pulls.file(visit.principal, name, number, path)
    first = iter([pulls.blobs.open(blob.digest) for blob in file.blobs[:1]])  # what is missing is told by a page
    rest = (pulls.blobs.open(blob.digest) for blob in file.blobs[1:])
    headers = {
        "content-length": str(file.size),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(path.rpartition('/')[2], safe='')}",
        "etag": f'"{file.digest}"',
    }
    pieces = chain.from_iterable(chain(first, rest))
    return StreamingResponse(pieces, headers=headers, media_type="application/octet-stream")
