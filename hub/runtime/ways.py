"""Ways: the callables that may stand for a signature, each from values by name to values in the signature's order.

``plain`` is the signature's own concrete function, without the keyword wrapper. ``frozen`` has its variables as
constants, so that TensorFlow can fold what depends on them alone (a batch normalisation into the convolution before
it). ``frozen_session`` is that graph in a session, whose optimizer sees the whole of it, and ``frozen_inline`` has a
session that computes in the calling thread, without handing operations to others. ``session`` and ``session_inline``
are the same for what holds a table and so cannot be frozen: the version in a session, as TensorFlow Serving has it,
with variables of its own. ``compiled`` goes through XLA.

Laws: a way gives what ``plain`` gives, but for the last bits; a way that cannot be made raises, and is then none.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.config_pb2 import CallableOptions
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from hub.domain.errors import ModelFailed
from hub.runtime.devices import Device
from hub.runtime.folding import fold
from hub.runtime.orders import WayName
from hub.runtime.placement import on, session_config
from hub.runtime.servable import Value, as_array

Way = Callable[[Mapping[str, Value]], Sequence[Value]]
Takes = Mapping[str, tf.DType]
"""Names and types of a function's positional tensors."""
APART: frozenset[WayName] = frozenset({"frozen", "frozen_session", "frozen_inline", "session", "session_inline"})
"""Ways that hold by themselves what they need of the version."""
_MOST_HELD_BYTES = 1 << 30  # a graph is one message of at most 2 GiB, its constants included


def plain(concrete: Any, takes: Takes, device: Device) -> Way:
    """A concrete function of positional tensors."""
    pairs = tuple(takes.items())

    def call(values: Mapping[str, Value]) -> Sequence[Value]:
        with on(device):
            answers: Sequence[Value] = concrete(*[tf.convert_to_tensor(values[name], dtype) for name, dtype in pairs])
            return answers

    return call


def others(concrete: Any, takes: Takes, device: Device) -> Iterator[tuple[WayName, Callable[[], Way]]]:
    """What else may be tried for a concrete function that changes nothing, by name."""

    @functools.cache
    def frozen() -> Any:
        return _freeze(concrete)

    @functools.cache
    def folded() -> Any:
        return fold(frozen().graph, [tensor.name for tensor in (*frozen().inputs, *frozen().outputs)])

    def session(config: tf.compat.v1.ConfigProto) -> Way:
        return _session(folded(), frozen(), tuple(takes), config, device)

    yield "frozen_session", lambda: session(session_config(device))
    if device.kind == "cpu":
        yield "frozen_inline", lambda: session(session_config(device, is_inline=True))
    else:
        yield "frozen", lambda: plain(frozen(), takes, device)
        compiled = tf.function(lambda *given: concrete(*given), jit_compile=True, autograph=False)
        yield "compiled", lambda: plain(compiled, takes, device)


def require_modest(held_bytes: int) -> None:
    """Refuse to hold so much twice, if only until a way is chosen.

    Raises:
        ModelFailed: It is too much.
    """
    if held_bytes > _MOST_HELD_BYTES:
        raise ModelFailed("It holds too much to be held twice.")


def _freeze(concrete: Any) -> Any:
    """The function with its variables as constants.

    Raises:
        ModelFailed: It holds too much, or something that is no variable, such as a table.
    """
    require_modest(sum(variable.shape.num_elements() * variable.dtype.size for variable in concrete.variables))
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    if frozen.captured_inputs:
        raise ModelFailed("It holds resources that cannot be frozen.")
    return frozen


def callable_of(session: tf.compat.v1.Session, feeds: Sequence[str], fetches: Sequence[str]) -> Any:
    """A function of arrays for the tensors ``feeds`` that gives those for ``fetches``.

    Where none is twice among the feeds, nor fetched, it does without `run`, whose bookkeeping in Python takes longer
    than a small model.
    """
    if len(set(feeds)) < len(feeds) or set(feeds) & set(fetches):
        return session.make_callable(list(fetches), feed_list=list(feeds))
    return session._make_callable_from_options(CallableOptions(feed=feeds, fetch=fetches))  # noqa: SLF001


def _session(defined: Any, frozen: Any, names: Sequence[str], config: tf.compat.v1.ConfigProto, device: Device) -> Way:
    """The graph in a session, fed and asked for what the function takes and gives."""
    graph = tf.Graph()
    with graph.as_default(), on(device):
        tf.import_graph_def(defined, name="")
    session = tf.compat.v1.Session(graph=graph, config=config)
    function = callable_of(session, [taken.name for taken in frozen.inputs], [given.name for given in frozen.outputs])

    def call(values: Mapping[str, Value]) -> Sequence[Value]:
        # A session gives scalar strings as plain bytes; whoever called expects arrays.
        return [as_array(answer) for answer in function(*[as_array(values[name]) for name in names])]

    return call
