"""Golden samples: inputs a version was probed with and what it answered, as one ``.npz``.

``index`` (a JSON object as uint8) lists every signature's tensors; the array ``{signature}/in/{name}`` or
``{signature}/out/{name}`` has the values. NumPy types are stored as they are, so that ``numpy.load`` shows them;
strings and types NumPy lacks are stored as the bytes of the Open Inference Protocol's binary representation (a
fixed-width NumPy string would lose trailing zero bytes). Nothing is ever pickled.

Law: ``read_golden(write_golden(samples)) == samples``.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from hub.domain.errors import InvalidTensor
from hub.domain.tensors import BY_NAME
from hub.protocol.frames import Tensor, from_numpy, to_numpy

_INDEX = "index"


@dataclass(frozen=True, slots=True)
class Sample:
    """One call: the tensors that went in and those that came out."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def write_golden(samples: Mapping[str, Sample]) -> bytes:
    """The ``.npz`` file with a sample for each signature."""
    arrays: dict[str, np.ndarray] = {}
    index = {}
    for signature, sample in samples.items():
        index[signature] = {
            "in": [_store(arrays, f"{signature}/in/{tensor.name}", tensor) for tensor in sample.inputs],
            "out": [_store(arrays, f"{signature}/out/{tensor.name}", tensor) for tensor in sample.outputs],
        }
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **{_INDEX: _bytes_array(orjson.dumps(index)), **arrays})
    return out.getvalue()


def read_golden(data: bytes) -> dict[str, Sample]:
    """The samples by signature.

    Raises:
        InvalidTensor: The bytes are no such file.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            index = orjson.loads(arrays[_INDEX].tobytes())
            return {
                signature: Sample(
                    tuple(_restore(arrays, f"{signature}/in/{entry[0]}", entry) for entry in sides["in"]),
                    tuple(_restore(arrays, f"{signature}/out/{entry[0]}", entry) for entry in sides["out"]),
                )
                for signature, sides in index.items()
            }
    except (ValueError, KeyError, TypeError, IndexError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise InvalidTensor("The bytes are not a file of golden samples.") from error


def _bytes_array(data: bytes | bytearray | memoryview) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)


def _is_plain(dtype: str) -> bool:
    known = BY_NAME.get(dtype)
    return known is not None and known.numpy is not None and known.size_bytes > 0


def _store(arrays: dict[str, np.ndarray], key: str, tensor: Tensor) -> list[Any]:
    arrays[key] = to_numpy(tensor) if _is_plain(tensor.dtype) else _bytes_array(tensor.data)
    return [tensor.name, tensor.dtype, tensor.shape]


def _restore(arrays: Mapping[str, np.ndarray], key: str, entry: list[Any]) -> Tensor:
    name, dtype, shape = entry
    array = arrays[key]
    data = from_numpy(name, array).data if _is_plain(dtype) else array.tobytes()
    return Tensor(name, dtype, tuple(shape), bytes(data))
