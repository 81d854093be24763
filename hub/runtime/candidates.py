"""Candidates: inputs made up for a signature that nobody has described further than its types and shapes.

Values are mild on purpose (floats in [0, 1), small integers) and fixed, so that two probes of one version agree.
Strings may mean anything: a serialized ``tf.Example`` where the features are known, text, an image, audio, JSON.

Law: every candidate has the signature's names and types, and shapes that it allows, and is at most 64 MiB.
"""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from hub.domain.tensors import BY_NAME, Shape, TensorSpec
from hub.protocol.frames import numpy_dtype
from hub.savedmodel.examples import FeatureSpec

MAX_BYTES = 64 << 20
_IMAGE_SIDE = 32
_SOUND_SAMPLES = 1600


# (batch, any other unknown dimension): small first, then sizes that image, sequence and audio models ask for.
_FILLS = ((2, 8), (1, 8), (2, 1), (1, 64), (1, 224), (1, 512), (1, 16_000))
_UNKNOWN_RANK: tuple[tuple[int, ...], ...] = ((2,), (2, 8), (), (1,), (1, 64, 64, 3), (64, 64, 3), (2, 1))
_NUMBERS = ("ramp", "zeros", "ones")


def candidates(inputs: Mapping[str, TensorSpec], strings: Iterable[bytes]) -> Iterator[dict[str, np.ndarray]]:
    """Inputs to try, the likeliest first.

    Args:
        inputs: What the signature takes.
        strings: What string elements may hold, the likeliest first; see ``string_values``.

    Raises:
        InvalidTensor: An input has a type that cannot be sent at all.
    """
    has_strings = any(spec.dtype == "string" for spec in inputs.values())
    styles = [(_NUMBERS[0], text) for text in strings] if has_strings else [(numbers, b"") for numbers in _NUMBERS]
    seen: set[tuple[tuple[int, ...], ...]] = set()
    for fill in range(len(_FILLS)):
        shapes = tuple(_fit(spec.shape, fill) for spec in inputs.values())
        if shapes in seen or _too_large(inputs.values(), shapes):
            continue
        seen.add(shapes)
        for numbers, text in styles:
            yield {
                name: _array(spec.dtype, shape, numbers, text)
                for (name, spec), shape in zip(inputs.items(), shapes, strict=True)
            }


def _fit(shape: Shape, fill: int) -> tuple[int, ...]:
    if shape is None:
        return _UNKNOWN_RANK[fill]
    batch, other = _FILLS[fill]
    return tuple((batch if axis == 0 else other) if dim is None else dim for axis, dim in enumerate(shape))


def _too_large(specs: Iterable[TensorSpec], shapes: Iterable[tuple[int, ...]]) -> bool:
    sizes = (
        math.prod(shape) * max(BY_NAME[spec.dtype].size_bytes if spec.dtype in BY_NAME else 1, 1)
        for spec, shape in zip(specs, shapes, strict=True)
    )
    return sum(sizes) > MAX_BYTES


def _array(dtype: str, shape: tuple[int, ...], numbers: str, text: bytes) -> np.ndarray:
    if dtype == "string":
        texts = np.empty(shape, dtype=object)
        texts.fill(text)  # np.full would make a fixed-width string of it first and lose trailing zero bytes
        return texts
    wanted = numpy_dtype(dtype)
    if numbers != "ramp":
        return np.full(shape, 0 if numbers == "zeros" else 1).astype(wanted)
    index = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    if wanted.kind == "b":
        return np.zeros(shape, dtype=wanted)
    values = index % 3 if wanted.kind in "iu" else (index * 37 % 101) / 101.0
    return values.astype(wanted)


def string_values(features: Mapping[str, FeatureSpec] | None) -> list[bytes]:
    """What a string element may hold.

    Args:
        features: The features that the graph parses from it, where that is known.
    """
    image = tf.zeros([_IMAGE_SIDE, _IMAGE_SIDE, 3], tf.uint8)
    sound = tf.zeros([_SOUND_SAMPLES, 1], tf.float32)
    general = [
        b"hello world",
        b"",
        tf.io.encode_jpeg(image).numpy(),
        tf.io.encode_png(image).numpy(),
        tf.train.Example().SerializeToString(),
        b"1",
        b"{}",
        tf.audio.encode_wav(sound, 16_000).numpy(),
    ]
    return [_example(features), *general] if features else general


def _example(features: Mapping[str, FeatureSpec]) -> bytes:
    return tf.train.Example(
        features=tf.train.Features(feature={name: _feature(spec) for name, spec in features.items()})
    ).SerializeToString()


def _feature(spec: FeatureSpec) -> tf.train.Feature:
    dims = [1 if dim is None else dim for dim in spec.shape or ()]
    count = min(math.prod(dims), MAX_BYTES // 8)
    if spec.dtype == "string":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"hello world"] * count))
    if spec.dtype in ("float32", "float64"):
        return tf.train.Feature(float_list=tf.train.FloatList(value=[index * 37 % 101 / 101 for index in range(count)]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[index % 3 for index in range(count)]))
