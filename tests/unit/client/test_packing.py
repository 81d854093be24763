"""What is packed on its way to the hub, and how the hub unpacks it."""

import gzip
import os
from pathlib import Path

import pytest

from hub.api.unpacking import unpacked
from hub.client.digesting import Source
from hub.client.packing import LEAST_BYTES, MOST_BYTES, pack
from hub.domain.digests import READ_BYTES
from hub.domain.errors import InvalidRequest

TEXT = b"node { name: 'a' op: 'Add' }\n" * 10_000


def source(path: Path, data: bytes, offset: int = 0) -> Source:
    path.write_bytes(b"?" * offset + data)
    return Source(path, offset, len(data), path.name)


def test_what_shrinks_much_is_packed_and_comes_out_again(tmp_path: Path):
    packed = pack(source(tmp_path / "graph", TEXT, offset=7))
    assert packed is not None
    assert len(packed) < len(TEXT) / 10
    assert b"".join(unpacked([packed[:100], packed[100:]])) == TEXT == gzip.decompress(packed)


@pytest.mark.parametrize("data", [os.urandom(1 << 20), TEXT[: LEAST_BYTES - 1], b"", bytes(MOST_BYTES + 1)])
def test_weights_and_what_is_very_small_or_large_go_as_they_are(tmp_path: Path, data: bytes):
    assert pack(source(tmp_path / "data", data)) is None


def test_no_more_is_unpacked_than_is_asked_for():
    bomb = gzip.compress(bytes(200 << 20))
    pieces = unpacked([bomb])
    first = next(pieces)
    assert len(first) <= READ_BYTES


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not packed at all",
        gzip.compress(TEXT)[:-1],
        gzip.compress(TEXT) + b"more",
        gzip.compress(TEXT)[:-8] + bytes(8),
    ],
    ids=["empty", "plain", "cut off", "more", "wrong checksum"],
)
def test_what_is_not_one_whole_packed_body_is_refused(body: bytes):
    with pytest.raises(InvalidRequest, match="packed body"):
        list(unpacked([body]))
    with pytest.raises(InvalidRequest, match="packed body"):
        list(unpacked([body[:10], body[10:]]))
