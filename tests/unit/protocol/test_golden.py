"""Golden samples: what is written is read back, byte for byte."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.errors import InvalidTensor
from hub.protocol.frames import Tensor, from_numpy
from hub.protocol.golden import Sample, read_golden, write_golden

TEXT = np.array([b"ends in zero\0", b""], dtype=object)


def test_samples_are_the_same_after_being_stored() -> None:
    samples = {
        "tensorflow/serving/regress": Sample(
            (from_numpy("in/put", TEXT), from_numpy("x", np.float32(0.5))),
            (Tensor("half", "bfloat16", (2,), b"\x80\x3f\x00\x40"), from_numpy("y", np.ones((0, 3)))),
        ),
        "empty": Sample((), ()),
    }
    back = read_golden(write_golden(samples))
    assert back.keys() == samples.keys()
    for name, sample in samples.items():
        for kept, read in zip(sample.inputs + sample.outputs, back[name].inputs + back[name].outputs, strict=True):
            assert (kept.name, kept.dtype, kept.shape, bytes(kept.data)) == (
                read.name,
                read.dtype,
                read.shape,
                bytes(read.data),
            )


def test_plain_numpy_shows_the_numbers_under_documented_keys() -> None:
    data = write_golden({"serving_default": Sample((from_numpy("x", np.arange(3)),), ())})
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["serving_default/in/x"], [0, 1, 2])


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidTensor):
        read_golden(data)


def test_a_file_without_index_or_with_a_missing_array_is_refused() -> None:
    out = io.BytesIO()
    np.savez(out, index=np.frombuffer(b'{"s": {"in": [["x", "int64", [1]]], "out": []}}', np.uint8))
    with pytest.raises(InvalidTensor):
        read_golden(out.getvalue())
