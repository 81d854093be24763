"""TensorFlow Serving's gRPC messages: predict, classify, regress, several of them at once, metadata and status.

Laws: as for :mod:`hub.protocol.codecs.tfserving`; ``model_spec`` of an answer says which version answered.

Source: ``tensorflow_serving/apis``: ``predict``, ``classification``, ``regression``, ``inference``,
``get_model_metadata`` and ``get_model_status.proto``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.domain.errors import InvalidRequest, InvalidTensor
from hub.domain.signatures import Signature, choose_signature
from hub.domain.tensors import BY_NAME, TensorSpec, check_tensor
from hub.domain.versions import State, Version
from hub.protocol.codecs.examples import ExamplesCall, classes_of, examples_input, values_of, with_context
from hub.protocol.codecs.tensor_protos import read_tensor_proto, write_shape, write_tensor_proto
from hub.protocol.codecs.tfserving import PREDICT_METHOD, check_names
from hub.protocol.frames import Tensor, pack_strings
from hub.protocol.messages import TENSORFLOW

CLASSIFY_METHOD, REGRESS_METHOD = "tensorflow/serving/classify", "tensorflow/serving/regress"
SIGNATURES_FIELD = "signature_def"
_SIGNATURES_URL = "type.googleapis.com/tensorflow.serving.SignatureDefMap"
# ModelVersionStatus.State, and error::Code
_STATES = {State.VALIDATING: 20, State.READY: 30, State.REJECTED: 50, State.YANKED: 50}
_FAILED_PRECONDITION = 9


@dataclass(frozen=True, slots=True)
class PredictCall:
    """A decoded ``PredictRequest``: the signature it means, its inputs in order, and the outputs to answer with."""

    signature: Signature
    tensors: tuple[Tensor, ...]
    wanted: tuple[str, ...]


def decode_predict(request: Any, signatures: Mapping[str, Signature]) -> PredictCall:
    """Understand a ``PredictRequest``.

    Raises:
        InvalidTensor: A tensor does not fit the signature, or an output that is asked for does not exist.
        SignatureNotFound: The signature that is asked for does not exist.
    """
    signature = choose_signature(signatures, request.model_spec.signature_name or None)
    check_names(request.inputs, signature, "The request")
    tensors = tuple(read_tensor_proto(request.inputs[name], spec) for name, spec in signature.inputs.items())
    wanted = tuple(request.output_filter) or tuple(signature.outputs)
    for name in wanted:
        if name not in signature.outputs:
            expected = sorted(signature.outputs)
            raise InvalidTensor(
                f"There is no output {name[:80]!r}; signature {signature.name!r} gives {expected}.",
                tensor=name[:80],
                expected=expected,
            )
    return PredictCall(signature, tensors, wanted)


def decode_examples(spec: Any, sent: Any, signatures: Mapping[str, Signature]) -> ExamplesCall:
    """Understand the ``Input`` of a classify or regress request: serialized examples, taken as they are.

    Raises:
        InvalidRequest: There are none, or the signature does not take serialized examples.
        InvalidTensor: The signature takes another number of examples.
        SignatureNotFound: The signature that is asked for does not exist.
    """
    signature = choose_signature(signatures, spec.signature_name or None)
    taken = examples_input(signature)
    extended = sent.example_list_with_context
    is_extended = bool(extended.examples)
    examples = list(extended.examples if is_extended else sent.example_list.examples)
    if not examples:
        raise InvalidRequest("The input holds no example.", remedy="Send at least one.")
    rows = with_context(extended.context if is_extended else b"", examples)
    check_tensor(taken.name, "string", rows.shape, taken)
    return ExamplesCall(signature, (Tensor(taken.name, "string", rows.shape, pack_strings(rows)),))


def write_spec(proto: Any, version: Version, signature: str = "") -> None:
    """Fill a ``ModelSpec``."""
    proto.name, proto.signature_name = version.model, signature
    proto.version.value = version.number


def encode_predict(tensors: Sequence[Tensor], call: PredictCall, version: Version) -> bytes:
    """A ``PredictResponse``.

    Raises:
        InvalidTensor: An output has no form in this protocol.
    """
    response: Any = TENSORFLOW["PredictResponse"]()
    by_name = {tensor.name: tensor for tensor in tensors}
    for name in call.wanted:
        write_tensor_proto(response.outputs[name], by_name[name])
    write_spec(response.model_spec, version, call.signature.name)
    return response.SerializeToString()


def fill_classes(result: Any, tensors: Sequence[Tensor], signature: Signature) -> None:
    """Fill a ``ClassificationResult``.

    Raises:
        InvalidRequest: The signature has neither ``classes`` nor ``scores``.
    """
    for row in classes_of(tensors, signature):
        classes = result.classifications.add().classes
        for label, score in row:
            classes.add(label=label, score=score)


def fill_values(result: Any, tensors: Sequence[Tensor], signature: Signature) -> None:
    """Fill a ``RegressionResult``.

    Raises:
        InvalidRequest: The signature does not give one number for each example.
    """
    for value in values_of(tensors, signature).tolist():
        result.regressions.add(value=value)


Fill = Callable[[Any, Sequence[Tensor], Signature], None]


def encode_metadata(version: Version, signatures: Mapping[str, Signature]) -> bytes:
    """A ``GetModelMetadataResponse`` with the signatures."""
    known: Any = TENSORFLOW["SignatureDefMap"]()
    for name, signature in signatures.items():
        written = known.signature_def[name]
        written.method_name = signature.method or PREDICT_METHOD
        for specs, infos in ((signature.inputs, written.inputs), (signature.outputs, written.outputs)):
            for key, spec in specs.items():
                _fill_info(infos[key], spec)
    response: Any = TENSORFLOW["GetModelMetadataResponse"]()
    write_spec(response.model_spec, version)
    response.metadata[SIGNATURES_FIELD].type_url = _SIGNATURES_URL
    response.metadata[SIGNATURES_FIELD].value = known.SerializeToString()
    return response.SerializeToString()


def _fill_info(info: Any, spec: TensorSpec) -> None:
    info.name, info.dtype = spec.name, BY_NAME[spec.dtype].number
    write_shape(info.tensor_shape, spec.shape)


def encode_status(versions: Sequence[Version]) -> bytes:
    """A ``GetModelStatusResponse``."""
    response: Any = TENSORFLOW["GetModelStatusResponse"]()
    for version in versions:
        status = response.model_version_status.add(version=version.number, state=_STATES[version.state])
        status.status.SetInParent()
        if version.state in (State.REJECTED, State.YANKED):
            status.status.error_code = _FAILED_PRECONDITION
            status.status.error_message = version.yanked_reason or f"The version was {version.state.value}."
    return response.SerializeToString()
