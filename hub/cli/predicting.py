"""Inputs and outputs of ``hub predict``: what people type or name, as the tensors a signature takes, and back.

Laws: a file is recognised by its first bytes, not by its name; nothing is unpickled; JSON is converted by the
signature's dtypes and refused where it does not fit.
"""

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import typer

from hub.cli.output import plain, put
from hub.client.predict import by_name, to_tensors
from hub.domain.errors import ExtraMissing, InvalidRequest, InvalidTensor
from hub.domain.signatures import Signature
from hub.domain.tensors import TensorSpec
from hub.protocol.codecs.json_text import parse_json, writable, write_json
from hub.protocol.codecs.values import read_tensor, texts
from hub.protocol.frames import Tensor

_NPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM")
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_RANK_WITH_BATCH = 4


def read_input(signature: Signature, text: str | None) -> list[Tensor]:
    """Make what was given on the command line the tensors that a signature takes.

    Args:
        signature: The signature.
        text: JSON, ``@`` and a file's name, ``-`` for stdin; None where the signature takes nothing.

    Raises:
        InvalidTensor: It does not fit.
    """
    if text is None:
        return to_tensors(signature, None)
    if text == "-":
        return _read_bytes(signature, sys.stdin.buffer.read())
    if text.startswith("@"):
        return _read_bytes(signature, _file_bytes(text[1:]))
    return _read_json(signature, text.encode())


def print_outputs(outputs: dict[str, np.ndarray], *, as_json: bool) -> None:
    """Print outputs: readable, long ones shortened; or whole as JSON."""
    if as_json:
        put(write_json({name: _for_json(array) for name, array in outputs.items()}).decode())
        return
    for name, array in outputs.items():
        shown = _for_people(array)
        dtype = "string" if array.dtype == object else str(array.dtype)
        put(f"{name}: {dtype}{list(array.shape)}")
        put("  " + np.array2string(shown, threshold=40, edgeitems=3, max_line_width=100).replace("\n", "\n  "))


def _file_bytes(name: str) -> bytes:
    try:
        return Path(name).expanduser().read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{name} cannot be read: {error.strerror or error}.") from error


def _read_bytes(signature: Signature, data: bytes) -> list[Tensor]:
    if data.startswith(_NPY):
        return to_tensors(signature, _load(data))
    if data.startswith(_ZIP) and zipfile.is_zipfile(io.BytesIO(data)):
        with _load(data) as arrays:
            return to_tensors(signature, dict(arrays))
    if data.startswith(_IMAGES):
        spec = _only(signature)
        return to_tensors(signature, _image(data, spec))
    return _read_json(signature, data)


def _load(data: bytes) -> Any:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidTensor(f"The NumPy file cannot be read: {error}.", remedy="Save it without objects.") from error


def _read_json(signature: Signature, data: bytes) -> list[Tensor]:
    try:
        value = parse_json(data)
    except InvalidRequest as error:
        reason = error.detail.removeprefix("The body is not JSON: ")
        raise typer.BadParameter(f"The input is not JSON, nor a NumPy or image file: {reason}") from error
    if isinstance(value, dict) and len(signature.inputs) == 1 and not value.keys() & signature.inputs.keys():
        value = {next(iter(signature.inputs)): value} if set(value) == {"b64"} else value
    given = by_name(signature, value)
    return [read_tensor(given[name], spec) for name, spec in signature.inputs.items()]


def _only(signature: Signature) -> TensorSpec:
    if len(signature.inputs) != 1:
        raise InvalidTensor(
            f"Signature {signature.name!r} takes {len(signature.inputs)} inputs: {list(signature.inputs)}.",
            remedy="Give a .npz file with an array for each.",
        )
    return next(iter(signature.inputs.values()))


def _image(data: bytes, spec: TensorSpec) -> Any:
    if spec.dtype == "string":
        return data if spec.shape == () else [data]
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            "Making pixels of an image file needs Pillow, which is not installed.",
            remedy="Install it with: pip install pillow. Or give a .npy file.",
        ) from error
    dims = spec.shape or (None, None, None, 3)
    height, width, channels = dims[-3:] if len(dims) >= len(_MODES) else (None, None, 3)
    picture = Image.open(io.BytesIO(data)).convert(_MODES.get(channels or 3, "RGB"))
    if height and width:
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if spec.dtype.startswith("float"):
        pixels = pixels.astype(np.float32) / 255
    return pixels[np.newaxis] if len(dims) == _RANK_WITH_BATCH else pixels


def _for_json(array: np.ndarray) -> Any:
    return writable(texts(array, always_base64=False) if array.dtype == object else array)


def _for_people(array: np.ndarray) -> np.ndarray:
    if array.dtype != object:
        return array
    shown = [plain(item.decode(errors="replace")) if isinstance(item, bytes) else str(item) for item in array.ravel()]
    return np.asarray(shown, dtype=object).reshape(array.shape)
