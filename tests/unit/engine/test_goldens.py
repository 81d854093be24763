"""Golden samples as files: written once, and never in the way of a load."""

from pathlib import Path

import pytest

from hub.domain.errors import BlobNotFound
from hub.engine.goldens import Goldens

DIGEST = f"sha256:{'0' * 64}"


def test_samples_are_read_once_and_written_whole(tmp_path: Path) -> None:
    asked: list[str] = []

    def read(digest: str) -> bytes:
        asked.append(digest)
        return b"samples"

    goldens, folder = Goldens(read), tmp_path / "golden"
    first, again = goldens.path(DIGEST, folder), goldens.path(DIGEST, folder)
    assert first is not None
    assert (first, first.read_bytes(), asked) == (again, b"samples", [DIGEST])
    assert list((tmp_path / "golden").iterdir()) == [first]


def test_a_version_without_samples_has_no_file(tmp_path: Path) -> None:
    assert Goldens(lambda _: None).path(DIGEST, tmp_path) is None


@pytest.mark.parametrize("error", [BlobNotFound("It is gone."), OSError("disk")])
def test_samples_that_cannot_be_had_keep_nothing_from_loading(tmp_path: Path, error: Exception) -> None:
    def read(_digest: str) -> bytes:
        raise error

    assert Goldens(read).path(DIGEST, tmp_path) is None
