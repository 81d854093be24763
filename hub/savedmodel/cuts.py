"""Where the files of variables are cut into blobs: at the borders of tensors, so that equal tensors are equal blobs.

Laws: the sizes of a file's blobs are positive and add up to its size; none is larger than 64 MiB; they depend on the
index and the file's size alone, so the same variables are cut alike everywhere; an index that cannot be believed cuts
nothing, and its files are then cut at fixed sizes like all others.

A tensor of 64 KiB or more is a blob of its own; smaller neighbours share one, up to a mebibyte. In a file of gigabytes
both grow, so that there are never more than some ten thousand blobs. Keras writes each variable twice into a file that
it exports: both are one blob.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from hub.domain.manifest import BLOB_BYTES
from hub.savedmodel.bundle import Bundle, Stored, read_bundle
from hub.savedmodel.wire import Malformed

ALONE_BYTES = 64 << 10
GROUP_BYTES = 1 << 20
_MOST_ALONE = 1 << 14


def cut_sizes(root: Path) -> dict[str, tuple[int, ...]]:
    """The sizes of the blobs of every file of variables below ``root``, by its relative path."""
    try:
        bundle = read_bundle(root)
        return {bundle.shard_path(shard): cut_shard(tensors, size) for shard, tensors, size in _shards(bundle)}
    except (Malformed, OSError):
        return {}


def fixed_sizes(size: int) -> tuple[int, ...]:
    """The sizes of the blobs of a file that nothing is known of."""
    return tuple(min(BLOB_BYTES, size - at) for at in range(0, size, BLOB_BYTES))


def _shards(bundle: Bundle) -> Iterator[tuple[int, list[Stored], int]]:
    held: dict[int, list[Stored]] = {}
    for stored in bundle.tensors.values():
        if not stored.slices and stored.size > 0 and 0 <= stored.shard < bundle.shards:
            held.setdefault(stored.shard, []).append(stored)
    for shard, tensors in held.items():
        yield shard, sorted(tensors, key=lambda stored: stored.offset), bundle.shard_size(shard)


def cut_shard(tensors: list[Stored], size: int) -> tuple[int, ...]:
    """The sizes of the blobs of one file of variables.

    Args:
        tensors: What it holds, by offset.
        size: Its bytes.

    Raises:
        Malformed: Tensors overlap, or lie outside of it.
    """
    scale = 1
    while scale * ALONE_BYTES * _MOST_ALONE < size:
        scale *= 2
    borders = [0, *_borders(tensors, scale * ALONE_BYTES, scale * GROUP_BYTES), size]
    if any(before > after for before, after in pairwise(borders)):
        raise Malformed("tensors overlap, or lie outside of their file")
    return tuple(part for before, after in pairwise(borders) for part in fixed_sizes(after - before))


def _borders(tensors: list[Stored], alone_bytes: int, group_bytes: int) -> Iterator[int]:
    began = 0
    for stored in tensors:
        if stored.size >= alone_bytes or stored.end - began > group_bytes:
            yield stored.offset
            began = stored.offset
        if stored.size >= alone_bytes:
            yield stored.end
            began = stored.end
