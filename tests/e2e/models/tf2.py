"""Models written as ``tf.Module``: types, shapes, names, state, control flow, strings, lookup tables, storage."""

from pathlib import Path

import numpy as np
import tensorflow as tf

Spec = tf.TensorSpec
FLOATS = np.linspace(0.1, 0.9, 6, dtype=np.float32).reshape(2, 3)
DTYPES = ("int8", "int16", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float64", "float16", "bfloat16")


def texts(*values: bytes) -> np.ndarray:
    return np.array(values, dtype=object)


def save(function, folder: Path, *, options: tf.saved_model.SaveOptions | None = None, **held) -> None:
    """Save a function, or several by signature, in a module that holds what they use."""
    module = tf.Module()
    for name, value in {**held, "functions": function}.items():
        setattr(module, name, value)
    tf.saved_model.save(module, str(folder), signatures=function, options=options)


def every_type(folder: Path) -> dict:
    def call(**tensors):
        return {f"{name}_back": tensor for name, tensor in tensors.items()}

    specs = {name: Spec([None, 2], tf.as_dtype(name), name=name) for name in DTYPES}
    save(tf.function(call).get_concrete_function(**specs), folder)
    numbers = np.array([[0, 1], [1, 3]])
    return {"serving_default": {name: numbers.astype(tf.as_dtype(name).as_numpy_dtype) for name in DTYPES}}


def every_shape(folder: Path) -> dict:
    functions = {
        "unknown_rank": tf.function(
            lambda x: {"doubled": x * 2, "shape": tf.shape(x)}, input_signature=[Spec(None, tf.float32, name="x")]
        ),
        "scalar": tf.function(
            lambda x, text: {"sum": x + 1, "text": tf.strings.upper(text)},
            input_signature=[Spec([], tf.float32, name="x"), Spec([], tf.string, name="text")],
        ),
        "nothing": tf.function(lambda: {"pi": tf.constant(3.14), "range": tf.range(4)}, input_signature=[]),
        "one_row": tf.function(lambda x: {"y": x + 1}, input_signature=[Spec([1, 3], tf.float32, name="x")]),
        "empty": tf.function(
            lambda x: {"y": x[:0], "words": tf.zeros([0], tf.string)}, input_signature=[Spec([None], tf.float32)]
        ),
    }
    save(functions, folder)
    return {
        "unknown_rank": {"x": FLOATS.reshape(1, 2, 1, 3)},
        "scalar": {"x": np.array(2, np.float32), "text": np.array(b"hey", object)},
        "nothing": {},
        "one_row": {"x": FLOATS[:1]},
        "empty": {"x": FLOATS[0]},
    }


def odd_names(folder: Path) -> dict:
    def call(**tensors):
        total = tensors["inputs"] + tensors["instances"] + tensors["signature_name"]
        return {"output.1": total, "my-output": total * 2, "outputs": tensors["b64"]}

    specs = {name: Spec([None], tf.float32, name=name) for name in ("inputs", "instances", "signature_name")}
    save({"a signature/2": tf.function(call).get_concrete_function(**specs, b64=Spec([None], tf.string))}, folder)
    numbers = dict.fromkeys(specs, FLOATS[0])
    return {"a signature/2": numbers | {"b64": texts(b"text", b"\xfe\xff", b"")}}


def state(folder: Path) -> dict:
    count = tf.Variable(10.0)
    seen = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    seen.insert([b"known"], [7])

    def remember(words):
        seen.insert(words, tf.range(tf.size(words, out_type=tf.int64)))
        return {"known": seen.size()}

    words = Spec([None], tf.string, name="words")
    functions = {
        "add": tf.function(lambda x: {"count": count.assign_add(x)}, input_signature=[Spec([], tf.float32, name="x")]),
        "remember": tf.function(remember, input_signature=[words]),
        "look": tf.function(lambda words: {"at": seen.lookup(words)}, input_signature=[words]),
    }
    save(functions, folder, count=count, seen=seen)
    return {
        "add": {"x": np.array(5, np.float32)},
        "remember": {"words": texts(b"new", b"newer")},
        "look": {"words": texts(b"known", b"new")},
    }


def control_flow(folder: Path) -> dict:
    def call(x):
        steps = tf.shape(x)[1]
        states, state = tf.TensorArray(tf.float32, size=steps), tf.zeros([tf.shape(x)[0], 2])
        for step in tf.range(steps):
            state = tf.tanh(state + x[:, step])
            states = states.write(step, state)
        chosen = tf.switch_case(steps % 2, [lambda: state, lambda: -state])
        return {"states": tf.transpose(states.stack(), [1, 0, 2]), "chosen": chosen}

    save(tf.function(call, input_signature=[Spec([None, None, 2], tf.float32, name="x")]), folder)
    return {"serving_default": {"x": np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 3, 2)}}


def words_and_images(folder: Path) -> dict:
    vocabulary = folder.with_name("vocabulary.txt")
    vocabulary.write_text("the\ncat\nsat\n")
    keys, values = tf.constant(["a", "b"]), tf.constant([1, 2], tf.int64)
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    from_file = tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(str(vocabulary), tf.string, line, tf.int64, number), -1
    )
    from_graph = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)

    def look_up(words):
        split = tf.strings.split(words)
        return {"ids": from_file.lookup(words), "letters": from_graph.lookup(words), "parts": split.row_lengths()}

    def decode(images):
        pixels = tf.map_fn(tf.io.decode_png, images, fn_output_signature=tf.uint8)
        return {"small": tf.image.resize(tf.cast(pixels, tf.float32), [2, 2]), "again_bytes": images}

    def parse(examples):
        features = {
            "numbers": tf.io.FixedLenFeature([2], tf.float32),
            "tags": tf.io.VarLenFeature(tf.string),
            "absent": tf.io.FixedLenFeature([], tf.int64, default_value=9),
        }
        parsed = tf.io.parse_example(examples, features)
        return {"numbers": parsed["numbers"], "absent": parsed["absent"], "tags": tf.sparse.to_dense(parsed["tags"])}

    functions = {
        "look_up": tf.function(look_up, input_signature=[Spec([None], tf.string, name="words")]),
        "decode": tf.function(decode, input_signature=[Spec([None], tf.string, name="images")]),
        "parse": tf.function(parse, input_signature=[Spec([None], tf.string, name="examples")]),
    }
    save(functions, folder, tables=[from_file, from_graph])
    image = tf.io.encode_png(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).numpy()
    return {
        "look_up": {"words": texts(b"cat", b"b", b"a dog")},
        "decode": {"images": texts(image, image)},
        "parse": {"examples": texts(example(numbers=[1.5, 2.5], tags=[b"x", b"y"]))},
    }


def example(**features: list) -> bytes:
    def feature(values: list) -> tf.train.Feature:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    named = {name: feature(values) for name, values in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def storage(folder: Path) -> dict:
    """Several shards, half-precision and string variables, a large constant, a compiled function."""
    weights = [tf.Variable(np.full((3, 400), 0.1 * (at + 1), np.float32)) for at in range(4)]
    half, names = tf.Variable(tf.constant([0.5, 2.0], tf.bfloat16)), tf.Variable(["a", "b\0c", "é"])
    constant = np.arange(300_000, dtype=np.float32)
    compiled = tf.function(lambda x: tf.nn.relu(x @ tf.add_n(weights)), jit_compile=True)

    def call(x):
        return {"y": compiled(x)[:, :2] * tf.cast(half, tf.float32) + tf.constant(constant)[-2:], "names": names}

    sharding = tf.train.experimental.MaxShardSizePolicy(max_shard_size=5000)
    options = tf.saved_model.SaveOptions(experimental_sharding_callback=sharding)
    function = tf.function(call, input_signature=[Spec([None, 3], tf.float32, name="x")])
    save(function, folder, options=options, weights=weights, half=half, names=names)
    return {"serving_default": {"x": FLOATS}}


def ragged_and_sparse(folder: Path) -> dict:
    """Composite arguments reach a signature as their parts."""
    functions = {
        "ragged": tf.function(
            lambda x: {"sums": tf.reduce_sum(x, 1)},
            input_signature=[tf.RaggedTensorSpec([None, None], tf.float32, row_splits_dtype=tf.int64)],
        ),
        "sparse": tf.function(
            lambda x: {"dense": tf.sparse.to_dense(x)}, input_signature=[tf.SparseTensorSpec([None, 3], tf.float32)]
        ),
    }
    save(functions, folder)
    parts = {
        (tf.float32, 1): FLOATS[0][:2],  # the values of either
        (tf.int64, 2): np.array([[0, 1], [1, 2]]),  # a sparse tensor's indices
        (tf.int64, 1): np.array([2, 3]),  # its dense shape
    }
    splits = {(tf.int64, 1): np.array([0, 1, 2])}
    loaded = tf.saved_model.load(str(folder)).signatures
    found = {}
    for name, values in {"ragged": parts | splits, "sparse": parts}.items():
        taken = loaded[name].structured_input_signature[1]
        found[name] = {key: values[spec.dtype, len(spec.shape)] for key, spec in taken.items()}
    return found


MODELS = {
    "every-type": every_type,
    "every-shape": every_shape,
    "odd-names": odd_names,
    "state": state,
    "control-flow": control_flow,
    "words-and-images": words_and_images,
    "storage": storage,
    "ragged-and-sparse": ragged_and_sparse,
}
