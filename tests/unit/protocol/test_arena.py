"""Memory that one side of a stream writes and the other reads."""

import asyncio
import errno
import fcntl
import mmap
import os
import socket
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.protocol.arena import Arena, Lent, shown
from hub.protocol.frames import Buffer, Tensor, from_numpy

KIB = 1 << 10


def arena(size: int) -> tuple[Arena, Buffer]:
    """The writer's side, and what the reader sees."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = Arena(ours, size)
        return made, asyncio.run(shown(theirs))


def tensor(size: int, fill: int = 1) -> Tensor:
    return from_numpy("x", np.full(size, fill, np.uint8))


def test_what_one_puts_in_the_other_sees_where_it_is_said_to_be() -> None:
    made, seen = arena(256 * KIB)
    lent = made.put([tensor(20_001, 1), tensor(33, 2), tensor(0), tensor(40_000, 3)])
    assert lent is not None
    assert [place % 64 for place in lent.places] == [8] * 4
    sizes = (20_001, 33, 0, 40_000)
    found = [bytes(seen[at : at + size]) for at, size in zip(lent.places, sizes, strict=True)]
    assert found == [b"\1" * 20_001, b"\2" * 33, b"", b"\3" * 40_000]


def test_what_is_small_or_finds_no_room_is_not_put_in() -> None:
    made, _ = arena(64 * KIB)
    assert made.put([]) is None
    assert made.put([tensor(KIB)]) is None
    assert made.put([tensor(4)] * 600) is None
    assert made.put([tensor(65 * KIB)]) is None
    whole = made.put([tensor(64 * KIB - 8)])
    assert whole is not None
    assert made.put([tensor(40 * KIB)]) is None
    made.give_back(whole)
    assert made.put([tensor(40 * KIB)]) is not None


@settings(deadline=None)
@given(st.data())
def test_nothing_that_is_lent_is_lent_again_and_all_of_it_comes_back(data: st.DataObject) -> None:
    made, _ = arena(256 * KIB)
    lent: list[Lent] = []
    for _ in range(data.draw(st.integers(1, 30))):
        if lent and data.draw(st.booleans()):
            made.give_back(lent.pop(data.draw(st.integers(0, len(lent) - 1))))
            continue
        got = made.put([tensor(data.draw(st.integers(32, 90)) * KIB)])
        if got is not None:
            lent.append(got)
        ends = sorted((each.at, each.at + each.size) for each in lent)
        assert all(0 <= begin < end <= 256 * KIB for begin, end in ends)
        assert all(before[1] <= after[0] for before, after in pairwise(ends))
    for each in lent:
        made.give_back(each)
    assert made.put([tensor(256 * KIB - 8)]) is not None


def test_who_reads_can_neither_write_nor_change_the_size() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        Arena(ours, 64 * KIB)
        _, (file,), _, _ = socket.recv_fds(theirs, 1, 1)
    try:
        with pytest.raises(PermissionError):
            mmap.mmap(file, 64 * KIB)
        with pytest.raises(PermissionError):
            os.write(file, b"x")
        for size in (0, 128 * KIB):
            with pytest.raises(PermissionError):
                os.ftruncate(file, size)
        with pytest.raises(PermissionError):
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    finally:
        os.close(file)


def test_who_has_gone_shows_nothing_and_to_who_has_gone_nothing_is_shown() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        assert asyncio.run(shown(theirs)) == b""
        Arena(theirs, 64 * KIB)


def test_no_descriptor_stays_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    made, seen = arena(64 * KIB)
    del made, seen
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.parametrize("call", ["memfd_create", "ftruncate"])
def test_without_such_memory_nothing_is_put_in_and_the_other_side_knows(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    before = sorted(Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(os, call, fail)
    made, seen = arena(64 * KIB)
    assert (made.put([tensor(40 * KIB)]), seen) == (None, b"")
    made.close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_what_is_closed_lets_its_memory_go() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    made, seen = arena(64 * KIB)
    del seen
    lent = made.put([tensor(40 * KIB)])
    made.close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert made.put([tensor(40 * KIB)]) is None
    assert lent is not None
