"""What people type or name as input, and how outputs are shown."""

import io
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest
import typer
from PIL import Image

from hub.cli.predicting import print_outputs, read_input
from hub.domain.errors import InvalidTensor
from hub.domain.signatures import Signature
from hub.domain.tensors import Shape, TensorSpec
from hub.protocol.frames import to_numpy


def taking(**inputs: tuple[str, Shape]) -> Signature:
    specs = {name: TensorSpec(name=name, dtype=dtype, shape=shape) for name, (dtype, shape) in inputs.items()}
    return Signature(name="serving_default", inputs=specs, outputs={})


ROWS = taking(x=("float32", (None, 2)))


@pytest.mark.parametrize("text", ["[[1, 2.5]]", '{"x": [[1, 2.5]]}'])
def test_json_is_nested_lists_or_an_object_of_them(text: str):
    (tensor,) = read_input(ROWS, text)
    np.testing.assert_array_equal(to_numpy(tensor), np.array([[1, 2.5]], np.float32))


def test_json_strings_are_text_or_base64():
    (tensor,) = read_input(taking(x=("string", (None,))), '["text", {"b64": "AP8="}]')
    assert to_numpy(tensor).tolist() == [b"text", b"\x00\xff"]
    (scalar,) = read_input(taking(x=("string", ())), '{"b64": "AP8="}')
    assert to_numpy(scalar).item() == b"\x00\xff"


def test_files_are_recognised_by_their_bytes(tmp_path: Path):
    array = np.array([[1, 2]], np.float32)
    np.save(tmp_path / "array.npy", array)
    np.savez(tmp_path / "arrays.npz", x=array)
    (tmp_path / "text.json").write_text("[[1, 2]]")
    for name in ("array.npy", "arrays.npz", "text.json"):
        (tmp_path / name).rename(tmp_path / "anything")
        (tensor,) = read_input(ROWS, f"@{tmp_path / 'anything'}")
        np.testing.assert_array_equal(to_numpy(tensor), array)


def test_stdin_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[[1, 2]]")))
    (tensor,) = read_input(ROWS, "-")
    assert tensor.shape == (1, 2)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 4), (255, 0, 0)).save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_an_image_becomes_the_pixels_that_the_input_takes(picture: Path):
    (small,) = read_input(taking(x=("float32", (None, 2, 3, 3))), f"@{picture}")
    assert small.shape == (1, 2, 3, 3)
    np.testing.assert_array_equal(to_numpy(small)[0, 0, 0], [1.0, 0.0, 0.0])
    (own_size,) = read_input(taking(x=("uint8", (None, None, None, 3))), f"@{picture}")
    assert own_size.shape == (1, 4, 8, 3)
    assert to_numpy(own_size).max() == 255
    (grey,) = read_input(taking(x=("uint8", (4, 8, 1))), f"@{picture}")
    assert grey.shape == (4, 8, 1)


def test_an_input_that_takes_bytes_gets_the_image_file_itself(picture: Path):
    (tensor,) = read_input(taking(x=("string", (None,))), f"@{picture}")
    assert to_numpy(tensor).tolist() == [picture.read_bytes()]


def test_a_signature_without_inputs_needs_none():
    assert read_input(taking(), None) == []


@pytest.mark.parametrize("text", ["{nope", "@/no/such/file"])
def test_what_cannot_be_read_is_wrong_usage(text: str):
    with pytest.raises(typer.BadParameter):
        read_input(ROWS, text)


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path):
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidTensor, match="cannot be read"):
        read_input(ROWS, f"@{tmp_path / 'evil.npy'}")


@pytest.mark.parametrize("text", ["[[1, 2, 3]]", '{"y": 1}', '[["a", "b"]]', "[[1], [2, 3]]"])
def test_what_does_not_fit_is_refused(text: str):
    with pytest.raises(InvalidTensor):
        read_input(ROWS, text)


def test_outputs_are_whole_as_json_and_short_for_people(capsys: pytest.CaptureFixture[str]):
    strings = np.array([b"text", b"\xff\x1b"], dtype=object)
    outputs = {"scores": np.zeros((100, 3), np.float32), "names": strings}
    print_outputs(outputs, as_json=True)
    read = orjson.loads(capsys.readouterr().out)
    assert np.shape(read["scores"]) == (100, 3)
    assert read["names"] == ["text", {"b64": "/xs="}]
    print_outputs(outputs, as_json=False)
    shown = capsys.readouterr().out
    assert "scores: float32[100, 3]" in shown
    assert "..." in shown
    assert "\x1b" not in shown
