"""Any bytes of a file may be wrong: reading it gives what it holds or our own error, in bounded memory.

The bytes of an index are mutated as they are, and behind its checksums: there every block is repaired after it was
mutated, so that what reads blocks, entries and messages sees it.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.savedmodel.bundle import INDEX, contradictions, read_bundle
from hub.savedmodel.inspect import inspect
from hub.savedmodel.limits import MAX_BLOCK_BYTES, MAX_RANK, MAX_SHARDS, MAX_TEXT_CHARS
from hub.savedmodel.wire import Malformed, read_varint
from tests.support.savedmodel_writer import FIXTURES, entry, sealed_table, table, varint

NAMES = ("trunk", "vocab", "session")
INDEXES = {name: (FIXTURES / name / INDEX).read_bytes() for name in NAMES}
INDEXES["packed"] = table(
    [(b"", b"\x08\x01"), *((f"w{at:03}".encode(), entry(1, (2,), 8 * at, 8)) for at in range(60))], is_packed=True
)
GRAPHS = {name: (FIXTURES / name / "saved_model.pb").read_bytes() for name in NAMES}
FOOTER_BYTES, TRAILER_BYTES = 48, 5
MOST_BYTES = 16 << 20
"""What reading a damaged file of some kilobytes may take at its peak; whole files take less than two megabytes."""
EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

places = st.integers(0, 1 << 16)
numbers = st.sampled_from([0, 1, 127, 128, 1 << 31, (1 << 32) - 1, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
Mutation = Callable[[bytearray], None]


def _at(raw: bytearray, place: int) -> int:
    return place % len(raw) if raw else 0


def _put(place: int, new: bytes) -> Mutation:
    def mutate(raw: bytearray) -> None:
        at = _at(raw, place)
        raw[at : at + len(new)] = new

    return mutate


def _insert(place: int, new: bytes) -> Mutation:
    def mutate(raw: bytearray) -> None:
        raw[_at(raw, place) : _at(raw, place)] = new

    return mutate


def _cut(place: int, size: int) -> Mutation:
    def mutate(raw: bytearray) -> None:
        del raw[_at(raw, place) : _at(raw, place) + size]

    return mutate


def _repeat(place: int, size: int) -> Mutation:
    def mutate(raw: bytearray) -> None:
        at = _at(raw, place)
        raw[at:at] = raw[at : at + size] * 3

    return mutate


mutations = st.lists(
    st.one_of(
        st.builds(_put, places, st.binary(min_size=1, max_size=4)),
        st.builds(_put, places, st.builds(varint, numbers)),
        st.builds(_insert, places, st.binary(min_size=1, max_size=12)),
        st.builds(_cut, places, st.integers(1, 40)),
        st.builds(_repeat, places, st.integers(1, 60)),
    ),
    min_size=1,
    max_size=6,
)


def mutated(raw: bytes, changes: list[Mutation]) -> bytes:
    out = bytearray(raw)
    for change in changes:
        change(out)
    return bytes(out)


@contextmanager
def bounded() -> Iterator[None]:
    """Hold what the block takes at its peak against what it may."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def read_index(root: Path, raw: bytes) -> None:
    """What reading an index must be, whatever it holds."""
    (root / "variables").mkdir(exist_ok=True)
    (root / INDEX).write_bytes(raw)
    with bounded():
        try:
            bundle = read_bundle(root)
        except Malformed:
            return
        list(contradictions(bundle))
    assert 0 < bundle.shards <= MAX_SHARDS
    assert len(bundle.tensors) <= len(raw)
    for stored in bundle.tensors.values():
        assert len(stored.shape) <= MAX_RANK
        assert stored.elements < 1 << 62


@EXAMPLES
@given(st.sampled_from(sorted(INDEXES)), mutations)
def test_an_index_with_any_bytes_wrong_is_read_or_malformed(tmp_path: Path, name: str, changes: list[Mutation]) -> None:
    read_index(tmp_path, mutated(INDEXES[name], changes))


def data_of(raw: bytes) -> bytes:
    """The stored bytes of an index's only block of data, which lies before the others."""
    next_block, _ = read_varint(raw[-FOOTER_BYTES:], 0)
    return raw[: next_block - TRAILER_BYTES]


@EXAMPLES
@given(st.sampled_from(sorted(INDEXES)), mutations, st.sampled_from([0, 0, 0, 1, 7]))
def test_what_is_wrong_behind_checksums_that_fit_is_read_or_malformed(
    tmp_path: Path, name: str, changes: list[Mutation], kind: int
) -> None:
    read_index(
        tmp_path, sealed_table(mutated(data_of(INDEXES[name]), changes), kind if name != "packed" else kind or 1)
    )


def test_a_block_that_says_it_unpacks_to_the_most_takes_no_more_than_that(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        (tmp_path / "variables").mkdir()
        (tmp_path / INDEX).write_bytes(sealed_table(varint(MAX_BLOCK_BYTES) + b"\0a", 1))
        with pytest.raises(Malformed):
            read_bundle(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2 * MAX_BLOCK_BYTES
    finally:
        tracemalloc.stop()


@EXAMPLES
@given(st.sampled_from(NAMES), mutations)
def test_a_graph_with_any_bytes_wrong_is_a_report(tmp_path: Path, name: str, changes: list[Mutation]) -> None:
    (tmp_path / "saved_model.pb").write_bytes(mutated(GRAPHS[name], changes))
    with bounded():
        report = inspect(tmp_path).report
    assert len(report.findings) < 1_000
    assert all(len(found.message) < 10 * MAX_TEXT_CHARS for found in report.findings)
