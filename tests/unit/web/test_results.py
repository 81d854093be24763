"""What came out of a prediction, as people read it."""

import numpy as np

from hub.protocol.frames import Tensor, from_numpy
from hub.web.results import output_of


def shown(array: np.ndarray, *, is_head: bool = False):
    return output_of(from_numpy("y", array), gives_classes=is_head)


def test_shares_of_one_are_classes_and_features_are_not() -> None:
    shares = shown(np.float32([[0.1, 0.7, 0.2]]))
    assert [one.index for one in shares.classes] == [1, 2, 0]
    assert shown(np.float32([[3, -7, 2]])).classes == ()
    assert [one.index for one in shown(np.float32([[3, -7, 2]]), is_head=True).classes] == [0, 2, 1]
    assert shown(np.full((1, 2_000), 1 / 2_000, np.float32), is_head=True).classes == ()


def test_figures_leave_out_what_is_not_finite_and_count_it() -> None:
    figures = dict(shown(np.float32([1, np.nan, 3, np.inf])).figures)
    assert figures == {"min": "1", "mean": "2", "max": "3", "norm": "3.162", "not finite": "2"}


def test_a_long_row_is_a_strip_of_few_cells() -> None:
    cells = shown(np.linspace(-1, 1, 10_000, dtype=np.float32).reshape(1, -1)).cells
    assert len(cells) == 96
    assert (cells[0].is_negative, cells[-1].is_negative) == (True, False)
    assert max(cell.strength for cell in cells) == 1


def test_what_is_not_shown_whole_says_so() -> None:
    long = shown(np.zeros(5_000, np.float32))
    assert long.is_cut
    assert len(long.raw) < 50_000
    assert shown(np.array([b"x"] * 30, object)).is_cut


def test_strings_bytes_and_odd_types_are_shown_too() -> None:
    assert shown(np.array([b"caf\xc3\xa9", b"\xff"], object)).texts == ("café", "/w== (base64)")
    assert dict(shown(np.array([True, False])).figures)["mean"] == "0.5"
    assert shown(np.float32(4)).cells == ()
    assert shown(np.zeros((0, 3), np.float32)).figures == ()
    complex_one = Tensor("y", "complex64", (1,), b"\0" * 8)
    assert output_of(complex_one, gives_classes=False).raw == ""
