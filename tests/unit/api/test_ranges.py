"""Which part of a blob a Range header asks for (RFC 9110 §14.2)."""

import pytest

from hub.api.routes.downloads import _range


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=-5", (95, 5)),
        ("bytes=-500", (0, 100)),
        ("bytes=50-500", (50, 50)),
        ("bytes=99-99", (99, 1)),
        ("bytes=100-", (100, 0)),
        ("bytes=-0", (100, 0)),
    ],
)
def test_one_range_is_cut_to_what_there_is(header: str, part: tuple[int, int]):
    assert _range(header, 100) == part


@pytest.mark.parametrize(
    "header", [None, "", "bytes=", "bytes=-", "bytes=0-1,5-6", "items=0-5", "bytes=9-3", "bytes=a-b"]
)
def test_what_is_not_one_good_range_means_the_whole(header: str | None):
    assert _range(header, 100) is None


def test_a_start_past_the_end_leaves_nothing():
    _, length = _range("bytes=700-", 100) or (0, 1)
    assert length <= 0


def test_an_empty_blob_has_no_ranges():
    _, length = _range("bytes=0-0", 0) or (0, 1)
    assert length <= 0
