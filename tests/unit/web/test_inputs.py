"""What a form for a signature is filled with, and what it says when it is sent."""

import json

import numpy as np
import pytest

from hub.domain.errors import InvalidRequest
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.protocol.codecs.tfserving import decode_predict
from hub.protocol.frames import Tensor, from_numpy
from hub.web.inputs import Field, body_of, fields_of, filled


def signature(*specs: TensorSpec) -> Signature:
    return Signature(name="serving_default", inputs={spec.name: spec for spec in specs}, outputs={})


def spec(dtype: str, *shape: int | None, name: str = "x") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def form(one: TensorSpec, sample: np.ndarray | None = None) -> Field:
    samples = {} if sample is None else {one.name: from_numpy(one.name, sample)}
    fields = fields_of(signature(one), samples)
    assert fields is not None
    return fields[0]


def said(fields: list[Field], called: Signature) -> tuple[Tensor, ...]:
    return decode_predict(body_of(called.name, fields), {called.name: called}).tensors


SPECS = [
    spec("float32", None, 4),
    spec("float32", None, 224, 224, 3),
    spec("uint8", None, None, None, 3),
    spec("int64"),
    spec("string", None),
    spec("string", None, 1),
    spec("string", 2, 2),
    spec("bool", None, name='a "b" c'),
    TensorSpec(name="x", dtype="string", shape=None),
]


@pytest.mark.parametrize("one", SPECS, ids=str)
def test_a_form_is_valid_as_it_is_filled_and_when_it_is_emptied(one: TensorSpec) -> None:
    called = signature(one)
    fields = [form(one)]
    assert said(fields, called) == said(filled(fields, {}), called)
    assert len(fields[0].json) < 20_000


def test_a_field_shows_what_the_model_has_taken() -> None:
    assert form(spec("float32", None, 2), np.float32([[1.5, -2]])).json == "[[1.5,-2.0]]"
    assert form(spec("string", None), np.array([b"hello"], object)).text == "hello"
    png = form(spec("string", None), np.array([b"\x89PNG"], object))
    assert (png.text, json.loads(png.json)) == ("", [{"b64": "iVBORw=="}])


@pytest.mark.parametrize(
    ("dtype", "low", "high", "scale"),
    [("float32", 0, 1, "1"), ("float32", -1, 1, "-1"), ("float32", 0, 255, "255"), ("uint8", 0, 9, "255")],
)
def test_pictures_are_scaled_as_what_was_taken_looks(dtype: str, low: float, high: float, scale: str) -> None:
    sample = np.linspace(low, high, 12).reshape(1, 2, 2, 3).astype(dtype)
    image = form(spec(dtype, None, None, None, 3), sample).image
    assert image is not None
    assert (image.height, image.width, image.channels, image.scale) == (2, 2, 3, scale)


@pytest.mark.parametrize(
    "one", [spec("float32", None, 8, 8, 4), spec("int32", None, 8, 8, 3), spec("float32", None, 8)]
)
def test_what_is_no_picture_is_not_asked_as_one(one: TensorSpec) -> None:
    assert form(one).image is None


def test_json_goes_before_text_and_is_sent_as_it_was_typed() -> None:
    one = spec("string", None)
    fields = filled([form(one)], {"json.x": '["a",\n"b"]', "text.x": "c"})
    assert b'"x": ["a", "b"]' in body_of("serving_default", fields)
    fields = filled([form(one)], {"text.x": 'it\'s "c"\n'})
    assert json.loads(body_of("serving_default", fields))["inputs"] == {"x": ['it\'s "c"\n']}


@pytest.mark.parametrize("text", ["[1", "1}, {", "nope", "[" * 5_000])
def test_what_is_not_json_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match="'x' is not JSON"):
        body_of("serving_default", filled([form(spec("float32", None))], {"json.x": text}))


def test_what_json_cannot_carry_has_no_form() -> None:
    assert fields_of(signature(spec("complex64", None)), {}) is None
