"""Writes SavedModels that do harm when they run, or are loaded: ``python running_models.py DIR OUTSIDE``.

They are what kinds of the hostile corpus would be if TensorFlow could load them; no scan is before them here.
OUTSIDE is a folder with the file ``canary``; whatever they write, they write beside it.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import tensorflow as tf
from engine_models import NUMBER, save

Call = Callable[[tf.Tensor], dict]


def fill(x):
    return {"y": tf.fill([tf.cast(x, tf.int64) * 25_000_000_000], 1.0) + x}


def amplify(x):
    return {"y": tf.broadcast_to(x, [100_000_000])}


def amplify_texts(x):
    return {"y": tf.fill([2_000_000], tf.strings.as_string(x))}


def long_text(x):
    text = tf.strings.as_string(x)
    for _ in range(22):
        text = tf.strings.join([text, text])
    return {"y": text}


def size_from_value(x):
    return {"y": tf.zeros([tf.cast(x * 1e8, tf.int64)])}


def string_bomb(x):
    text = tf.strings.as_string(x)
    for _ in range(40):
        text = tf.strings.join([text, text])
    return {"y": text}


def endless(x):
    return {"y": tf.while_loop(lambda at: at < x + 1.0, lambda at: [at * 1.0], [tf.constant(0.0)])[0]}


def not_a_number(x):
    return {"y": x * float("nan")}


def abort(x):
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="ended")]):
        return {"y": tf.identity(x)}


def leave(x):
    with tf.control_dependencies([tf.raw_ops.Abort(error_msg="ended", exit_without_error=True)]):
        return {"y": tf.identity(x)}


def compile_bomb(x):
    @tf.function(jit_compile=True)
    def chain(value):
        for _ in range(1_500):
            value = tf.sin(value) * tf.cos(value)
        return value

    return {"y": chain(x)}


def python_function(x):
    return {"y": tf.raw_ops.PyFunc(input=[x], token="pyfunc_0", Tout=[tf.float32])[0]}


ALONE = (
    fill, amplify, amplify_texts, long_text, size_from_value, string_bomb, endless, not_a_number, abort, leave,
    compile_bomb, python_function,
)  # fmt: skip


def reaching(outside: Path) -> dict[str, Call]:
    """Those that read, write and connect."""
    canary, written = str(outside / "canary"), str(outside / "written")

    def doing(op):
        with tf.control_dependencies([op]):
            return {"y": tf.constant(1.0)}

    def vocabulary(_):
        sampled = tf.random.fixed_unigram_candidate_sampler([[0]], 1, 1, True, 1, vocab_file=canary)
        return {"y": sampled.sampled_candidates}

    def lines(_):
        return {"y": tf.data.TextLineDataset(canary).reduce("", lambda before, line: before + line)}

    def restore(_):
        restored = tf.raw_ops.RestoreV2(prefix=canary, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])
        return {"y": restored[0]}

    return {
        "read": lambda x: {"y": tf.io.read_file(canary), "x": x},
        "write": lambda x: doing(tf.io.write_file(written, tf.strings.as_string(x))),
        "print": lambda x: doing(tf.raw_ops.PrintV2(input=tf.strings.as_string(x), output_stream=f"file://{written}")),
        "list": lambda _: {"y": tf.io.matching_files(str(outside / "*"))},
        "map": lambda _: {"y": tf.raw_ops.ImmutableConst(dtype=tf.uint8, shape=[8], memory_region_name=canary)},
        "vocabulary": vocabulary,
        "lines": lines,
        "save": lambda x: doing(
            tf.raw_ops.SaveV2(prefix=written, tensor_names=["x"], shape_and_slices=[""], tensors=[x])
        ),
        "restore": restore,
        "network": lambda _: {"y": tf.io.read_file("gs://bucket/object")},
        "trace": lambda x: doing(
            tf.raw_ops.DebugIdentityV2(input=x, debug_urls=[f"file://{written}"], tfdbg_context_id="x")
        ),
    }


class AtLoad(tf.saved_model.experimental.TrackableResource):
    """A resource that does something when it is initialised, which loading does."""

    def __init__(self, do: Callable[[], object]) -> None:
        super().__init__()
        self._do = do

    def _create_resource(self):
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

    def _initialize(self):
        self._do()


def at_load(outside: Path) -> dict[str, Callable[[], object]]:
    """What is done when a model is loaded, by the model's name."""
    written = str(outside / "written")

    def kept(op):
        """An op that nobody needs runs where one with an effect comes after it."""
        with tf.control_dependencies([op]):
            tf.print("loaded")

    return {
        "load_write": lambda: tf.io.write_file(written, "written"),
        "load_abort": lambda: kept(tf.raw_ops.Abort(error_msg="ended")),
        "load_endless": lambda: kept(tf.while_loop(lambda at: at < 1.0, lambda at: [at * 1.0], [tf.constant(0.0)])[0]),
    }


def shaped(call: Call) -> Call:
    """The same, with outputs of any shape said to be numbers: a signature has to say something."""

    def claim(x):
        outputs = call(x)
        for output in outputs.values():
            if output.shape.rank is None:
                output.set_shape([])
        return outputs

    return claim


def save_unloaded(module: tf.Module, folder: Path) -> None:
    """Save what nobody should load, and describe it by hand."""
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.call})
    sides = {
        side: {key: {"name": key, "dtype": "float32", "shape": []}} for side, key in (("inputs", "x"), ("outputs", "y"))
    }
    folder.with_suffix(".json").write_bytes(orjson.dumps([{"name": "serving_default", **sides}]))


def main(target: Path, outside: Path) -> None:
    """Write all models."""
    calls = {each.__name__: each for each in ALONE} | reaching(outside) | {"good": lambda x: {"y": x + 1.0}}
    for name, call in calls.items():
        module = tf.Module()
        module.call = tf.function(shaped(call), input_signature=[NUMBER])
        save(module, target / name, {"serving_default": module.call})
    for name, do in at_load(outside).items():
        module = tf.Module()
        module.resource = AtLoad(do)
        module.call = tf.function(lambda x: {"y": x + 1.0}, input_signature=[NUMBER])
        save_unloaded(module, target / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    os._exit(0)
