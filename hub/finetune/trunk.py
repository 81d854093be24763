"""A pulled trunk as a Keras 3 layer.

Laws: what trains is the publisher's ``trainable_variables`` list, and only while the layer is trainable; the trunk runs
in training mode (dropout, moving statistics) only while the layer is trainable *and* training; its regularization
losses count only while it is trainable. The layer's config names the version by digest, so that a ``.keras`` file
finds the very same bytes again.
"""

import hashlib
from pathlib import Path
from typing import Any, Self

import keras
import tensorflow as tf

from hub.client.cache import Cache
from hub.client.operations import Operations
from hub.client.pull import pull_version
from hub.domain.errors import InvalidModel, InvalidRequest
from hub.domain.manifest import Kind
from hub.domain.names import parse_reference
from hub.finetune.face import Face
from hub.finetune.naming import Nest


@keras.saving.register_keras_serializable(package="hub")
class Trunk(keras.Layer):
    """A trunk that other layers are put on.

    Args:
        path: The pulled SavedModel.
        reference: ``owner/name@number`` it was pulled as; None for a directory that no hub knows.
        digest: The version's digest; None as above.
        trainable: Whether fitting may move the trunk's trainable variables.
        name: The layer's name.
        dtype: The layer's dtype policy; the trunk computes in its own dtypes whatever it says.

    Raises:
        InvalidModel: The SavedModel is not callable, or is to be trained and publishes nothing trainable.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        reference: str | None = None,
        digest: str | None = None,
        trainable: bool = False,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        _require_tensorflow_backend()
        super().__init__(name=name, dtype=dtype, trainable=trainable, autocast=False)
        self.supports_jit = False  # a saved function may hold any op, strings and growing arrays among them
        self.directory = Path(path)
        self.reference = reference
        self.digest = digest
        self.face = Face.load(self.directory, reference or self.directory.name)
        if trainable and not self.face.trainable_variables:
            raise InvalidModel(
                f"{reference or self.directory.name} publishes no trainable variables.",
                remedy="Use it with trainable=False, or export it again with hub.finetune.export_trunk.",
            )
        self._adopt()
        self.pulled_state = _state_digest(self.face)
        self.built = True

    def _adopt(self) -> None:
        """Make the trunk's own variables the layer's: fitting moves the very memory that the trunk computes with."""
        trained = {variable.ref() for variable in self.face.trainable_variables}
        adopted = [_as_keras(variable, variable.ref() in trained) for variable in self.face.variables]
        self.pulled_variables = adopted
        for variable in adopted:  # sorted into the layer's lists by now; the flag goes on meaning "while trainable"
            variable.trainable = variable.trainable and self.trainable
        for position, resource in enumerate(resources_of(self.face.root)):
            setattr(self, f"pulled_resource_{position}", resource)

    def call(self, inputs: Nest, training: bool | None = False) -> Nest:
        """Compute the features.

        Raises:
            InvalidTensor: An input has another structure, dtype or rank than the trunk takes.
        """
        outputs = self.face(inputs, training=bool(training) and self.trainable)
        if self.trainable:
            for loss in self.face.regularization_losses:
                self.add_loss(loss())
        return outputs

    def compute_output_spec(self, inputs: Nest, training: bool | None = False) -> Nest:  # noqa: ARG002
        """Shapes and dtypes of the features, from the traces.

        Raises:
            InvalidTensor: An input has another structure, dtype or rank than the trunk takes.
            InvalidModel: The trunk does not say the rank of what it gives.
        """
        return keras.tree.map_structure(self._symbolic, self.face.trace_for(inputs).outputs)

    def _symbolic(self, spec: tf.TensorSpec) -> keras.KerasTensor:
        if spec.shape.rank is None:
            raise InvalidModel(
                f"{self.reference or self.directory.name} does not say how many dimensions its output has.",
                remedy="Export it again from a model whose output rank is known.",
            )
        return keras.KerasTensor(tuple(spec.shape), dtype=spec.dtype.name)

    def is_unchanged(self) -> bool:
        """Whether every variable has the bytes it was pulled with."""
        return _state_digest(self.face) == self.pulled_state

    def get_config(self) -> dict[str, Any]:
        """What finds the same version again: reference and digest, or the path where no hub knows it."""
        config = super().get_config() | {"reference": self.reference, "digest": self.digest}
        return config if self.digest else config | {"path": str(self.directory)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Pull the version that the config names, from the cache where it is there.

        Raises:
            HubError: It cannot be pulled.
        """
        rest = dict(config)
        if "path" not in rest:
            rest["path"] = _directory_of(rest["reference"], rest["digest"])
        return cls(**rest)


def load_trunk(ref: str, *, trainable: bool = False, client: Operations | None = None) -> Trunk:
    """Pull a trunk and make it a Keras layer.

    Args:
        ref: Any reference, such as ``acme/resnet50@7`` or ``acme/resnet50:stable``.
        trainable: Whether fitting may move it.
        client: The hub to ask; the one of the environment or of ``hub login`` if None.

    Raises:
        InvalidModel: It is a head, or cannot be called and trained.
        HubError: It cannot be pulled.
    """
    pulled = pull_version(ref, client=client)
    if pulled.manifest.kind is not Kind.TRUNK:
        raise InvalidModel(
            f"{pulled.reference} is a head: it takes a trunk's features.",
            remedy=f"Build on its trunk; 'hub lineage {pulled.reference}' names it.",
        )
    return Trunk(pulled.path, reference=pulled.reference, digest=pulled.digest, trainable=trainable)


def _directory_of(reference: str, digest: str) -> Path:
    """Where the version's files are; a cached version needs no hub."""
    cache = Cache()
    if cache.snapshot(digest) is not None:
        return cache.snapshot_path(digest)
    return pull_version(f"{parse_reference(reference).model}@{digest}").path


def resources_of(root: Any) -> list[Any]:
    """The tables and assets below a trackable object: what has to be saved with the functions that use them."""
    kinds = (tf.saved_model.experimental.TrackableResource, tf.saved_model.Asset)
    return [found for found in tf.train.TrackableView(root).descendants() if isinstance(found, kinds)]


def _as_keras(variable: tf.Variable, trainable: bool) -> keras.Variable:
    name = variable.name.removesuffix(":0").replace("/", "_")
    return keras.Variable(variable, dtype=variable.dtype.name, trainable=trainable, autocast=False, name=name or None)


def _state_digest(face: Face) -> str:
    """One digest over the values of all variables in order."""
    state = hashlib.sha256()
    for variable in face.variables:
        state.update(tf.io.serialize_tensor(variable).numpy())
    return state.hexdigest()


def _require_tensorflow_backend() -> None:
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise InvalidRequest(
            f"Keras runs on {backend} here, trunks are TensorFlow programs.",
            remedy="Set KERAS_BACKEND=tensorflow before keras is imported.",
        )
