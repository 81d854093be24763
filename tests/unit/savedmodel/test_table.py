"""The index's file format, against hand-made tables and one written by TensorFlow."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.savedmodel.table import crc32c, masked_crc32c, read_table
from hub.savedmodel.wire import Malformed

ROWS = [(b"", b"header"), (b"a", b"1"), (b"ab", b""), (b"b/c", b"x" * 300)]


def test_the_checksum_has_the_published_value():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720, appendix B.4 uses the same polynomial


@pytest.mark.parametrize("is_packed", [False, True])
def test_rows_read_back_from_raw_and_snappy_blocks(write, is_packed):
    assert list(read_table(memoryview(write.table(ROWS, is_packed=is_packed)))) == ROWS


def test_keys_that_share_a_prefix_are_put_together(fixtures):
    keys = [key for key, _ in read_table(memoryview((fixtures / "trunk/variables/variables.index").read_bytes()))]
    assert b"variables/0/.ATTRIBUTES/VARIABLE_VALUE" in keys
    assert b"variables/1/.ATTRIBUTES/VARIABLE_VALUE" in keys


def test_a_flipped_bit_is_noticed(write):
    raw = bytearray(write.table(ROWS))
    raw[8] ^= 1
    with pytest.raises(Malformed, match="checksum"):
        list(read_table(memoryview(raw)))


def test_keys_out_of_order_are_refused(write):
    with pytest.raises(Malformed, match="order"):
        list(read_table(memoryview(write.table([(b"b", b""), (b"a", b"")]))))


def test_a_block_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(write):
    raw = bytearray(write.table(ROWS, is_packed=True))
    size = next(at for at in range(len(raw)) if raw[at : at + 1] == b"\x01" and _is_trailer(raw, at))
    claimed = write.varint(1 << 31)
    block = (claimed + bytes(raw[:size]))[:size]
    raw[: size + 1] = block + b"\x01"
    raw[size + 1 : size + 5] = masked_crc32c(bytes(raw[: size + 1])).to_bytes(4, "little")
    with pytest.raises(Malformed, match="unpacks to more"):
        list(read_table(memoryview(raw)))


def _is_trailer(raw: bytearray, at: int) -> bool:
    return raw[at + 1 : at + 5] == masked_crc32c(bytes(raw[: at + 1])).to_bytes(4, "little")


def test_every_cut_of_a_table_is_malformed(write):
    raw = write.table(ROWS)
    for length in range(len(raw)):
        with pytest.raises(Malformed):
            list(read_table(memoryview(raw[:length])))


@given(st.binary(max_size=120))
def test_any_bytes_before_a_right_footer_are_read_or_malformed(raw):
    with contextlib.suppress(Malformed):
        list(read_table(memoryview(raw.ljust(48, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little"))))
