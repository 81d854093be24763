"""The wire format: what writers make is read, everything else is refused in one way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.savedmodel import wire
from hub.savedmodel.wire import Malformed


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_an_integer_reads_back_as_it_was_written(write, number):
    raw = write.varint(number)
    assert wire.read_varint(raw, 0) == (number, len(raw))


@given(st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1))
def test_negative_integers_survive_the_wire(write, number):
    assert wire.signed(wire.read_varint(write.varint(number), 0)[0]) == number


def test_fields_come_in_order_with_their_tags(write):
    data = memoryview(write.message((1, 7), (2, "text"), (3, b"\x01")))
    assert [(tag, value, bytes(chunk)) for tag, value, chunk in wire.fields(data)] == [
        (0x08, 7, b""),
        (0x12, 0, b"text"),
        (0x1A, 0, b"\x01"),
    ]


def test_repeated_integers_read_the_same_packed_and_unpacked(write):
    packed = write.message((2, write.varint(3) + write.varint(-1)))
    unpacked = write.message((2, 3), (2, -1))
    read = [
        [number for tag, value, chunk in wire.fields(memoryview(raw)) for number in wire.integers(tag, value, chunk)]
        for raw in (packed, unpacked)
    ]
    assert read == [[3, -1], [3, -1]]


@pytest.mark.parametrize(
    "raw",
    [b"\x0a", b"\x0a\x05ab", b"\x08", b"\x08" + b"\xff" * 11, b"\x0b\x0c", b"\x00\x01", b"\x0d\x01", b"\x0f"],
    ids=[
        "no length",
        "short bytes",
        "no integer",
        "long integer",
        "group",
        "field zero",
        "short fixed",
        "no such type",
    ],
)
def test_what_no_writer_makes_is_malformed(raw):
    with pytest.raises(Malformed):
        list(wire.fields(memoryview(raw)))


def test_a_nested_message_that_appears_twice_is_refused(write):
    with pytest.raises(Malformed, match="twice"):
        wire.only(memoryview(write.message((2, b"a"), (2, b"b"))), 0x12)


def test_more_repetitions_than_allowed_are_refused():
    with pytest.raises(Malformed, match="more than 3"):
        list(wire.every(memoryview(b"\x0a\x00" * 4), 0x0A, 3))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_as_malformed(raw):
    try:
        for _, _, chunk in wire.fields(memoryview(raw)):
            wire.text(chunk)
    except Malformed:
        pass
