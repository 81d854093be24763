"""Writes other people's SavedModels into a folder, and what TensorFlow itself answers: ``python make.py DIR``.

``NAME/`` is the model; ``NAME.npz`` holds, for one that can be served, a call of each signature.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from keras_models import MODELS as KERAS
from refused import MODELS as REFUSED
from tf1 import MODELS as SESSIONS
from tf1 import TAGS
from tf2 import MODELS as MODULES

from hub.protocol.frames import from_numpy
from hub.protocol.golden import Sample, write_golden

Arrays = dict[str, np.ndarray]


def answered(folder: Path, signature: str, inputs: Arrays) -> Arrays:
    """A freshly loaded model's answer, as its author would call it."""
    function = tf.saved_model.load(str(folder)).signatures[signature]
    takes = function.structured_input_signature[1]
    outputs = function(**{name: tf.convert_to_tensor(value, takes[name].dtype) for name, value in inputs.items()})
    return {name: np.asarray(value.numpy()) for name, value in outputs.items()}


def answered_by_session(folder: Path, tags: list[str], signature: str, inputs: Arrays) -> Arrays:
    """The same for a model of TensorFlow 1."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, tags, str(folder)).signature_def[signature]
        fetches = {name: info.name for name, info in loaded.outputs.items()}
        outputs = session.run(fetches, {loaded.inputs[name].name: value for name, value in inputs.items()})
    return {name: strings(value) for name, value in outputs.items()}


def strings(value: object) -> np.ndarray:
    return np.array(value, dtype=object if isinstance(value, bytes) else None)


def tensors(arrays: Arrays) -> tuple:
    return tuple(
        from_numpy(name, value.astype(object) if value.dtype.kind == "S" else value) for name, value in arrays.items()
    )


def main(out: Path) -> None:
    for make in REFUSED.values():
        make(out)
    for name, make in {**MODULES, **KERAS, **SESSIONS}.items():
        folder = out / name
        samples = {}
        for signature, inputs in make(folder).items():
            if name in TAGS:
                outputs = answered_by_session(folder, TAGS[name], signature, inputs)
            else:
                outputs = answered(folder, signature, inputs)
            samples[signature] = Sample(tensors(inputs), tensors(outputs))
        (out / f"{name}.npz").write_bytes(write_golden(samples))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
