"""The same job on PostgreSQL and S3, and again after a restart."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import orjson
import pytest

pytestmark = pytest.mark.timeout(600)
MODEL = Path(__file__).parents[1] / "fixtures/savedmodels/trunk"


def input_of(signature: dict[str, dict[str, dict[str, list[int | None]]]]) -> str:
    """Zeros, one row of them, for every input of a signature."""

    def zeros(dims: list[int | None]) -> object:
        return [zeros(dims[1:])] * (dims[0] or 1) if dims else 0

    return orjson.dumps({key: zeros(spec["shape"]) for key, spec in signature["inputs"].items()}).decode()


def test_a_hub_on_postgresql_and_s3_does_the_main_job(
    tmp_path: Path,
    postgresql_url: str,
    s3_url: str,
    start_hub: Callable[..., AbstractContextManager],
):
    options = ("--database-url", postgresql_url, "--storage-url", s3_url)
    with start_hub(tmp_path, *options) as hub:
        pushed = hub.cli("push", str(MODEL), "acme/tiny:stable")
        assert (pushed.returncode, pushed.stdout) == (0, "acme/tiny@1\n"), pushed.stderr
        shown = orjson.loads(hub.cli("show", "acme/tiny", "--json").stdout)
        asked = input_of(shown["signatures"]["serving_default"])
        first = hub.cli("predict", "acme/tiny:stable", "--input", asked, "--json")
        assert first.returncode == 0, first.stderr

    with start_hub(tmp_path, *options) as hub:
        pulled = hub.cli("pull", "acme/tiny:stable", str(tmp_path / "pulled"))
        assert pulled.returncode == 0, pulled.stderr
        assert (tmp_path / "pulled/saved_model.pb").read_bytes() == (MODEL / "saved_model.pb").read_bytes()
        again = hub.cli("predict", "acme/tiny", "--input", asked, "--json")
        assert again.stdout == first.stdout
    assert not (tmp_path / "data/blobs").exists()
    assert not (tmp_path / "data/hub.db").exists()
