"""Servables through TensorFlow's session loader: what TensorFlow Serving, C, Java and Go use.

TF1 models, with their reference variables, are at home here. A stateful signature runs in a session of its own,
restored from the files, so that it answers as if freshly loaded.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import op_def_registry

from hub.domain.errors import InvalidModel, ModelFailed, SignatureNotFound
from hub.runtime.devices import Device
from hub.runtime.orders import Order, WayName
from hub.runtime.placement import on, session_config
from hub.runtime.servable import Value, as_array, in_order, signature_of, turn_of
from hub.runtime.ways import Way, callable_of
from hub.savedmodel.metagraph import read_saved_model, served

_LASTING = {
    "VarHandleOp",
    "HashTableV2",
    "MutableHashTableV2",
    "MutableHashTableOfTensorsV2",
    "MutableDenseHashTableV2",
}


def read_tags(root: Path) -> list[str]:
    """The tags of the meta graph to serve: the one whose signatures the inspection read.

    Raises:
        InvalidModel: It is not clear which one is served.
        Malformed: The graph cannot be read.
    """
    meta = served(read_saved_model(memoryview((root / "saved_model.pb").read_bytes())))
    if meta is None:
        raise InvalidModel("It is not clear which meta graph of the SavedModel is served.")
    return list(meta.tags)


def _makers(graph: Any) -> set[str]:
    """The types of operations, in functions too, that make resources."""
    nodes = itertools.chain(graph.node, *(function.node_def for function in graph.library.function))
    known = ((name, op_def_registry.get(name)) for name in {node.op for node in nodes})
    return {
        name
        for name, definition in known
        if definition is not None
        and definition.is_stateful
        and any(given.type == types_pb2.DT_RESOURCE for given in definition.output_arg)
    }


class SessionServable:
    """A version in a ``tf.compat.v1.Session`` with a graph of its own."""

    def __init__(self, order: Order, device: Device, *, is_inline: bool = False) -> None:
        """Load the version, to compute in the calling thread where it is to be ``inline``.

        Raises:
            Exception: Whatever TensorFlow raises; a hostile file may make it raise anything.
        """
        self.order = order
        self._device = device
        self._config = session_config(device, is_inline=is_inline)
        self._tags = read_tags(order.root)
        self._turn = turn_of(order)
        self._open()

    def _open(self) -> None:
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=self._config)
        try:
            with graph.as_default(), on(self._device):
                loaded = tf.compat.v1.saved_model.load(self._session, self._tags, str(self.order.root))
        except Exception:
            self._session.close()
            raise
        self._definitions = dict(loaded.signature_def)
        self._calls: dict[str, Any] = {}

    def _check_types(self, signature: str, definition: Any) -> None:
        for name, info in (*definition.inputs.items(), *definition.outputs.items()):
            held, declared = self._session.graph.get_tensor_by_name(info.name).dtype, tf.as_dtype(info.dtype)
            if held.base_dtype != declared.base_dtype:
                raise InvalidModel(
                    f"Signature {signature!r} declares {name!r} as {declared.name}, its graph has {held.name}."
                )

    def run(self, signature: str, inputs: Mapping[str, Value]) -> dict[str, Value]:
        """Call a signature."""
        spec = signature_of(self.order, signature)
        with self._turn:
            call = self._call(signature)
            definition = self._definitions[signature]
            try:
                values = call(*[as_array(inputs[name]) for name in definition.inputs])
            finally:
                if spec.is_stateful:
                    self._session.close()
                    self._open()
        # A session gives scalar strings as plain bytes; whoever called expects arrays.
        return in_order(spec, dict(zip(definition.outputs, map(as_array, values), strict=True)))

    def require_all_state(self) -> None:
        """Refuse a version whose state a session does not have, whether or not the signatures that were called read it.

        This loader does not find every variable that Keras keeps, and what has no name is made anew by each run.

        Raises:
            ModelFailed: Variables are not initialized, or something is held in what is neither a variable nor a table.
        """
        graph = self._session.graph
        strange = _makers(graph.as_graph_def()) - _LASTING
        if strange:
            raise ModelFailed(f"What {min(strange)!r} makes does not last in a session.")
        handles = [operation.outputs[0] for operation in graph.get_operations() if operation.type == "VarHandleOp"]
        with graph.as_default():
            found = self._session.run([tf.raw_ops.VarIsInitializedOp(resource=handle) for handle in handles])
        if not all(found):
            raise ModelFailed(f"The session loader finds {sum(map(bool, found))} of {len(found)} variables.")

    def prepare(self, signature: str) -> None:
        """Make a signature ready to be called."""
        self._call(signature)

    def has(self, signature: str) -> bool:
        """Whether a signature is ready to be called."""
        return signature in self._calls

    def ways(self, signature: str) -> Iterator[tuple[WayName, Callable[[], Way]]]:
        """None but the session's own."""
        del signature
        return iter(())

    def adopt(self, signature: str, name: WayName, way: Way) -> None:
        """Never asked for, where there is no other way.

        Raises:
            ModelFailed: Always.
        """
        raise ModelFailed(f"Signature {signature!r} of a session cannot be called as {name!r}: {way!r}.")

    def settle(self) -> None:
        """Nothing to let go of."""

    def close(self) -> None:
        """Close the session, which frees its variables."""
        self._calls.clear()
        self._session.close()

    def _call(self, signature: str) -> Any:
        if signature not in self._calls:
            definition = self._definitions.get(signature)
            if definition is None:
                raise SignatureNotFound(f"The session loader finds no signature {signature!r} in the version.")
            self._check_types(signature, definition)
            feeds = [info.name for info in definition.inputs.values()]
            fetches = [info.name for info in definition.outputs.values()]
            self._calls[signature] = callable_of(self._session, feeds, fetches)
        return self._calls[signature]
