"""Folding, on real graphs: they answer as before, with less to do."""

import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from hub.runtime.folding import fold

Layer = Callable[[tf.Tensor], tf.Tensor]
CHANNELS = 8


def numbers(*shape: int) -> tf.Tensor:
    """Some that are neither alike nor zero, the same each time."""
    return tf.reshape(tf.cos(tf.range(np.prod(shape, dtype=int), dtype=tf.float32) * 1.7) + 1.5, shape)


def conv(padding: str = "SAME", stride: int = 1, size: int = 3) -> Layer:
    weights = tf.Variable(numbers(size, size, CHANNELS, CHANNELS) / 60)
    return lambda x: tf.nn.conv2d(x, weights, stride, padding)


def depthwise(padding: str = "SAME", stride: int = 1, size: int = 3) -> Layer:
    weights = tf.Variable(numbers(size, size, CHANNELS, 1) / 10)
    return lambda x: tf.nn.depthwise_conv2d(x, weights, [1, stride, stride, 1], padding)


def normalized() -> Layer:
    mean, variance, beta, gamma = (tf.Variable(numbers(CHANNELS) / by) for by in (3, 2, 5, 1))
    return lambda x: tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


def fused_normalized(*, is_training: bool = False) -> Layer:
    gamma, beta, mean, variance = (tf.Variable(numbers(CHANNELS) / by) for by in (1, 5, 3, 2))
    own = (None, None) if is_training else (mean, variance)
    return lambda x: tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, *own, is_training=is_training)[0]


def biased() -> Layer:
    bias = tf.Variable(numbers(CHANNELS))
    return lambda x: tf.nn.bias_add(x, bias)


def scaled(*shape: int, by: float = 1.0) -> Layer:
    factor = tf.Variable(numbers(*shape) * by)
    return lambda x: factor * x


def moved(*shape: int) -> Layer:
    shift = tf.Variable(numbers(*shape))
    return lambda x: x + shift


def padded(before: int, after: int) -> Layer:
    return lambda x: tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]])


def skipped(layer: Layer) -> Layer:
    return lambda x: x + layer(x)


def counted(definition: Any) -> Counter[str]:
    return Counter(node.op for node in definition.node)


def tried(*layers: Layer, shape: tuple[int | None, ...] = (None, 8, 8, CHANNELS)) -> tuple[Counter[str], Counter[str]]:
    """The operations before and after, once both have answered alike."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec(shape)])
    def net(x: tf.Tensor) -> Any:
        kept = []
        for layer in layers:
            x = layer(x)
            kept.append(x)
        return kept if layers[-1] is fetched else x

    frozen = convert_variables_to_constants_v2(net.get_concrete_function(), lower_control_flow=False)
    names = [tensor.name for tensor in (*frozen.inputs, *frozen.outputs)]
    folded = fold(frozen.graph, names)
    asked = numbers(*(2 if size is None else size for size in shape)) / 3
    answers = []
    for definition in (frozen.graph.as_graph_def(), folded):
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            outputs = [tensor.name for tensor in frozen.outputs]
            answers.append(session.run(outputs, {frozen.inputs[0].name: asked.numpy()}))
    for before, after in zip(*answers, strict=True):
        largest = np.max(np.abs(before), where=np.isfinite(before), initial=1.0)
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5 * largest)
    return counted(frozen.graph.as_graph_def()), counted(folded)


def fetched(x: tf.Tensor) -> tf.Tensor:
    """The last of layers each of which is asked for."""
    return tf.identity(x)


@pytest.mark.parametrize("product", [conv, depthwise])
@pytest.mark.parametrize(
    "then",
    [
        (normalized(),),
        (fused_normalized(),),
        (biased(), normalized()),
        (biased(), fused_normalized()),
        (moved(CHANNELS), scaled(1, 1, 1, CHANNELS), moved(1, CHANNELS)),
        (tf.identity, normalized()),
    ],
    ids=["normalized", "fused", "biased normalized", "biased fused", "by hand", "handed on"],
)
def test_what_follows_a_product_is_a_bias_at_most(product: Callable[[], Layer], then: tuple[Layer, ...]) -> None:
    _, after = tried(product(), *then, tf.nn.relu6)
    assert after["BiasAdd"] == 1
    assert after.keys().isdisjoint({"Mul", "AddV2", "Sub", "Rsqrt", "FusedBatchNormV3"})


def test_a_dense_layer_takes_its_normalisation_in() -> None:
    weights = tf.Variable(numbers(CHANNELS, CHANNELS))
    _, after = tried(lambda x: x @ weights, normalized(), shape=(None, CHANNELS))
    assert (after["MatMul"], after["BiasAdd"], after["Mul"], after["AddV2"]) == (1, 1, 0, 0)


def test_a_skipped_connection_stays_a_sum_of_two() -> None:
    product, norm = conv(), normalized()
    _, after = tried(skipped(lambda x: norm(product(x))))
    assert (after["BiasAdd"], after["AddV2"], after["Mul"]) == (1, 1, 0)


def test_functions_within_functions_hide_nothing() -> None:
    inner = tf.function(lambda x: normalized_once(conv_once(x)), autograph=False)
    conv_once, normalized_once = conv(), normalized()
    _, after = tried(tf.function(lambda x: inner(x) * 1.0, autograph=False))
    assert after["BiasAdd"] == 1
    assert after["NoOp"] == 0


@pytest.mark.parametrize(
    "layers",
    [
        (conv(), skipped(scaled(CHANNELS))),
        (conv(), scaled(CHANNELS), fetched),
        (conv(), scaled(8, 1)),
        (conv(), scaled(2, 1, 1, CHANNELS)),
        (conv(), scaled(1, 1, 1, 1, CHANNELS)),
        (conv(), scaled(CHANNELS, by=3e38)),
        (conv(), fused_normalized(is_training=True)),
        (tf.nn.relu, scaled(CHANNELS)),
    ],
    ids=["used twice", "fetched", "per column", "per row", "another rank", "too large", "training", "no product"],
)
def test_what_cannot_be_taken_in_stays(layers: tuple[Layer, ...]) -> None:
    before, after = tried(*layers)
    for op in ("Mul", "FusedBatchNormV3"):
        assert after[op] == before[op]


def test_weights_that_many_products_share_do_not_become_many() -> None:
    product = conv()
    before, after = tried(*[product, scaled(CHANNELS)] * 30)
    assert after["Mul"] == before["Mul"] == 30


def made(build: Callable[[tf.Tensor], Any], *shape: int | None) -> tuple[Any, Any]:
    """What ``build`` makes of a fed ``x``, which is fetched with all that it gives: the graph and the folded one."""
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, shape, name="x")
        given = build(x)
    names = [tensor.name for tensor in (given if isinstance(given, tuple) else (given,))]
    return graph.as_graph_def(), fold(graph, [x.name, *names])


def run(definition: Any, fetch: str, x: np.ndarray) -> Any:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run(fetch, {"x:0": x})


EYE = np.eye(CHANNELS, dtype=np.float32)
TWOS = np.full(CHANNELS, 2.0, np.float32)


def test_an_operation_may_have_been_beside_one_that_is_gone() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        factor = tf.constant(TWOS)
        product = x @ EYE * factor
        with tf.compat.v1.get_default_graph().colocate_with(factor.op):
            return tf.nn.relu(product)

    _, folded = made(build, None, CHANNELS)
    assert counted(folded) == {"Placeholder": 1, "Const": 1, "MatMul": 1, "Identity": 1, "Relu": 1}
    np.testing.assert_array_equal(run(folded, "Relu:0", EYE), 2 * EYE)


def test_what_is_fed_is_no_constant_whatever_it_was() -> None:
    def build(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        factor = tf.constant(TWOS)
        return x @ EYE * factor, factor

    assert counted(made(build, None, CHANNELS)[1])["Mul"] == 1


def test_what_waits_for_a_check_still_does() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([tf.compat.v1.assert_less(tf.reduce_max(x), 5.0)]):
            factor = tf.constant(TWOS)
        return tf.multiply(x @ EYE, factor, name="y")

    for definition in made(build, None, CHANNELS):
        np.testing.assert_array_equal(run(definition, "y:0", EYE), 2 * EYE)
        with pytest.raises(tf.errors.InvalidArgumentError):
            run(definition, "y:0", 9 * EYE)


def test_a_loop_of_the_first_tensorflow_keeps_its_constants_inside() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        def body(at: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return at + 1, h @ tf.constant(EYE) * tf.constant(TWOS) + tf.constant(TWOS)

        loop = tf.compat.v1.while_loop(lambda at, _h: at < 3, body, [0, x])
        return tf.identity(loop[1], name="y")

    tf.compat.v1.disable_control_flow_v2()
    try:
        definitions = made(build, 1, CHANNELS)
    finally:
        tf.compat.v1.enable_control_flow_v2()
    for definition in definitions:
        np.testing.assert_array_equal(run(definition, "y:0", EYE[:1]), EYE[:1] * 8 + 14)


def shared_weights(x: tf.Tensor) -> tf.Tensor:
    weights, factor = tf.constant(1.0, shape=[CHANNELS, 1_000_000]), tf.constant(2.0, shape=[1_000_000])
    return tf.add_n([tf.reduce_sum(x @ weights * factor) for _ in range(30)])


def own_weights(x: tf.Tensor) -> tf.Tensor:
    size = 50_000
    every = [x @ tf.constant(1.0, shape=[CHANNELS, size]) * tf.constant(2.0, shape=[size]) for _ in range(200)]
    return tf.add_n([tf.reduce_sum(each) for each in every])


def long_sums(x: tf.Tensor) -> tf.Tensor:
    value = tf.constant(1.0, shape=[1_000, 1_000])
    for _ in range(200):
        value = value + 1.0
    return x @ EYE * tf.reduce_sum(value)


def many_factors(x: tf.Tensor) -> tf.Tensor:
    for _ in range(2_000):
        x = x * tf.constant(np.linspace(0.999, 1.001, CHANNELS, dtype=np.float32))
    return x


def never_reached(x: tf.Tensor) -> tf.Tensor:
    _ = x @ tf.constant(1.0, shape=[CHANNELS, 50_000_000]) * tf.constant(2.0, shape=[50_000_000])
    return x * 2.0


@pytest.mark.parametrize("build", [shared_weights, own_weights, long_sums, many_factors, never_reached])
def test_a_small_graph_stays_small_whatever_it_says_that_it_holds(build: Layer) -> None:
    tracemalloc.start()
    try:
        before, after = made(lambda x: build(x @ tf.constant(EYE)), None, CHANNELS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 << 20
    assert after.ByteSize() < before.ByteSize() + (80 << 20)


def test_many_factors_are_one() -> None:
    _, after = made(lambda x: many_factors(x @ tf.constant(EYE)), None, CHANNELS)
    assert (counted(after)["Mul"], counted(after)["Const"]) == (0, 1)


def test_what_nobody_could_compute_is_left_alone() -> None:
    def build(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        text = tf.constant("ab" * 50)
        for _ in range(4):
            text = tf.raw_ops.Add(x=text, y=text)
        empty = tf.reshape(tf.zeros([0]), [0, -1]) * 2.0
        return x @ EYE * tf.reshape(tf.constant(1.0), [1] * 70), text, empty

    before, after = made(build, None, CHANNELS)
    assert counted(after)["Mul"] == counted(before)["Mul"]


def test_another_output_of_a_normalisation_may_be_fetched() -> None:
    def build(x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        product = tf.nn.conv2d(x, EYE[None, None], 1, "SAME")
        given = tf.compat.v1.nn.fused_batch_norm(product, TWOS, TWOS, TWOS, TWOS, is_training=False)
        return given[0], given[1]

    assert counted(made(build, 1, 8, 8, CHANNELS)[1])["FusedBatchNormV3"] == 1


def test_zeros_are_not_left_to_weights_that_are_no_numbers() -> None:
    def build(x: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(padded(0, 1)(x), np.full([3, 3, CHANNELS, 1], np.inf, np.float32), 2, "VALID")

    assert counted(made(build, 1, 8, 8, CHANNELS)[1])["Pad"] == 1


@pytest.mark.parametrize("product", [tf.keras.layers.Conv2D, tf.keras.layers.DepthwiseConv2D])
def test_layers_of_keras_with_a_bias_take_their_normalisation_in(product: Any) -> None:
    size = {"filters": CHANNELS} if product is tf.keras.layers.Conv2D else {}
    layers = product(kernel_size=3, **size), tf.keras.layers.BatchNormalization(), tf.keras.layers.ReLU(6)
    for layer in layers:
        layer.build([None, 8, 8, CHANNELS] if layer is layers[0] else [None, 6, 6, CHANNELS])
    for number, variable in enumerate(layers[0].variables + layers[1].variables):
        variable.assign(numbers(*variable.shape) / (2 + number))
    _, after = tried(*layers)
    assert (after["BiasAdd"], after["Mul"], after["AddV2"]) == (1, 0, 0)


@pytest.mark.parametrize("product", [conv, depthwise])
@pytest.mark.parametrize(
    ("size", "stride", "kernel", "zeros", "pads"),
    [
        (8, 2, 3, (0, 1), 0),
        (8, 2, 5, (1, 2), 0),
        (7, 2, 3, (1, 1), 0),
        (8, 1, 3, (1, 1), 0),
        (8, 2, 3, (1, 1), 1),
        (8, 2, 3, (1, 0), 1),
        (None, 2, 3, (0, 1), 1),
        (8, 4, 2, (0, 0), 1),
    ],
)
def test_zeros_that_a_convolution_would_add_itself_are_left_to_it(
    product: Callable[..., Layer], size: int | None, stride: int, kernel: int, zeros: tuple[int, int], pads: int
) -> None:
    _, after = tried(padded(*zeros), product("VALID", stride, kernel), shape=(None, size, size, CHANNELS))
    assert after["Pad"] == pads


LAYERS = {
    "conv": conv,
    "depthwise": depthwise,
    "normalized": normalized,
    "fused": fused_normalized,
    "biased": biased,
    "scaled": lambda: scaled(CHANNELS),
    "moved": lambda: moved(1, 1, CHANNELS),
    "skipped": lambda: skipped(conv()),
    "padded": lambda: padded(0, 1),
    "narrowed": lambda: conv("VALID", 2),
    "relu": lambda: tf.nn.relu6,
}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(sorted(LAYERS)), min_size=2, max_size=7), st.booleans())
def test_whatever_is_folded_answers_alike(names: list[str], are_all_fetched: bool) -> None:
    names = [name for at, name in enumerate(names) if name != "narrowed" or names[:at].count("narrowed") < 2]
    layers = [LAYERS[name]() for name in names]
    tried(*layers, *([fetched] if are_all_fetched else []))
