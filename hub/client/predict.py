"""Predict: arrays in, arrays out, over the Open Inference Protocol's binary form.

Laws: an input is made the dtype that the signature takes only where that loses nothing but float precision; what does
not fit is refused here, by name; a version's signatures are asked for once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from hub.client.operations import Operations
from hub.domain.errors import HubUnreachable, InvalidTensor
from hub.domain.names import parse_reference
from hub.domain.signatures import Signature, choose_signature
from hub.domain.tensors import BY_NAME, BY_OIP, TensorSpec, check_tensor
from hub.domain.versions import Version
from hub.protocol import paths
from hub.protocol.codecs.oip import HEADER_LENGTH
from hub.protocol.codecs.values import read_tensor, to_array
from hub.protocol.frames import Tensor, from_numpy, numpy_dtype
from hub.protocol.schemas import VersionDetail


class Predictor:
    """Calls the versions of one hub."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._details: dict[str, VersionDetail] = {}

    def predict(self, reference: str, inputs: Any, signature: str | None = None) -> dict[str, np.ndarray]:
        """Call a version; see :func:`predict`."""
        detail = self.detail(reference)
        chosen = choose_signature(detail.signatures, signature)
        return self.call(detail.version, chosen, to_tensors(chosen, inputs))

    def detail(self, reference: str) -> VersionDetail:
        """What is known of the version that a reference means; an exact one is asked for once."""
        parsed = parse_reference(reference)
        known = self._details.get(reference) if parsed.number or parsed.digest else None
        if known is None:
            version = self._operations.resolve(reference)
            known = self._details.get(version.reference)
            if known is None or known.version.digest != version.digest:
                known = self._operations.version(version.model, version.number)
            self._details[version.reference] = self._details[reference] = known
        return known

    def call(self, version: Version, signature: Signature, tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
        """Call a signature with tensors that fit it.

        Raises:
            ModelFailed: The model itself failed on these inputs.
            HubError: The hub's problem, by its class.
        """
        place = f"/v2/models/{version.model}/versions/{version.number}/infer"
        return self._post(place, {"signature": signature.name}, tensors)

    def heads(self, trunk: str, inputs: Any, heads: Sequence[str] | None = None) -> dict[str, dict[str, np.ndarray]]:
        """Call many heads on one input of their trunk; see :meth:`hub.client.client.Client.predict_heads`."""
        detail = self.detail(trunk)
        names = None if heads is None else [str(parse_reference(head)) for head in heads]
        feeding = choose_signature(detail.signatures)
        place = paths.heads_predict(f"{detail.version.model}@{detail.version.number}")
        parameters = {} if names is None else {"heads": names}
        found: dict[str, dict[str, np.ndarray]] = {}
        for name, array in self._post(place, parameters, to_tensors(feeding, inputs)).items():
            owner, model, output = name.split("/", 2)
            found.setdefault(f"{owner}/{model}", {})[output] = array
        return found

    def _post(self, place: str, parameters: Mapping[str, Any], tensors: Sequence[Tensor]) -> dict[str, np.ndarray]:
        header = orjson.dumps(
            {
                "parameters": {**parameters, "binary_data_output": True},
                "inputs": [_announce(tensor) for tensor in tensors],
            }
        )
        answer = self._operations.http.request(
            "POST",
            place,
            body=b"".join([header, *(tensor.data for tensor in tensors)]),
            headers={"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))},
            is_repeatable=True,
        )
        return _read_answer(answer.content, answer.headers.get(HEADER_LENGTH))


def predict(
    reference: str, inputs: Any, signature: str | None = None, *, client: Operations | None = None
) -> dict[str, np.ndarray]:
    """Call a version in a hub.

    Args:
        reference: Any form of reference.
        inputs: Arrays (or nested lists) by input name; a bare one where the signature has one input.
        signature: Its name; ``serving_default``, or the only one, where None.
        client: The hub; by default the one of the environment.

    Returns:
        The outputs by name; strings as objects of ``bytes``, ``bfloat16`` as float32.

    Raises:
        InvalidTensor: An input does not fit the signature.
        SignatureNotFound: The version has no such signature.
        ModelFailed: The model itself failed on these inputs.
        HubUnreachable: No answer from the hub.
    """
    if client is not None:
        return Predictor(client).predict(reference, inputs, signature)
    with Operations() as own:
        return Predictor(own).predict(reference, inputs, signature)


def to_tensors(signature: Signature, inputs: Any) -> list[Tensor]:
    """Make what a caller gave the tensors that a signature takes.

    Raises:
        InvalidTensor: A name, dtype or shape does not fit.
    """
    given = by_name(signature, inputs)
    return [_to_tensor(given[name], spec) for name, spec in signature.inputs.items()]


def by_name(signature: Signature, inputs: Any) -> Mapping[str, Any]:
    """What a caller gave, under the names of the signature's inputs.

    Raises:
        InvalidTensor: An input is missing, or there is none of that name.
    """
    expected = list(signature.inputs)
    if inputs is None:
        inputs = {}
    if not isinstance(inputs, Mapping):
        if len(expected) != 1:
            raise InvalidTensor(
                f"Signature {signature.name!r} takes {len(expected)} inputs: {expected}.",
                remedy="Give each of them by name.",
                expected=expected,
            )
        return {expected[0]: inputs}
    unknown = [name for name in inputs if name not in signature.inputs]
    missing = [name for name in expected if name not in inputs]
    if unknown or missing:
        wrong = f"there is no input {unknown[0]!r}" if unknown else f"input {missing[0]!r} is missing"
        raise InvalidTensor(
            f"Signature {signature.name!r} takes {expected}: {wrong}.",
            tensor=(unknown or missing)[0],
            expected=expected,
        )
    return inputs


def _to_tensor(value: Any, spec: TensorSpec) -> Tensor:
    if spec.dtype == "string":
        tensor = from_numpy(spec.name, _strings(value, spec))
    elif BY_NAME[spec.dtype].numpy is None and np.asarray(value).dtype.name != spec.dtype:
        return read_tensor(np.asarray(value).tolist(), spec)
    else:
        tensor = from_numpy(spec.name, _numbers(value, spec))
    check_tensor(spec.name, tensor.dtype, tensor.shape, spec)
    return tensor


def _strings(value: Any, spec: TensorSpec) -> np.ndarray:
    array = np.asarray(value, dtype=object)
    if not all(isinstance(element, str | bytes) for element in array.ravel().tolist()):
        raise InvalidTensor(f"Input {spec.name!r} takes strings or bytes.", tensor=spec.name, expected=spec.dtype)
    return array


def _numbers(value: Any, spec: TensorSpec) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidTensor(f"Input {spec.name!r} is not rectangular: {error}.", tensor=spec.name) from error
    if array.dtype.name == spec.dtype:
        return array
    wanted = numpy_dtype(spec.dtype)
    if array.dtype.kind in "iu" and wanted.kind in "iu":
        cast = array.astype(wanted)
        if np.array_equal(cast, array):
            return cast
    elif array.size == 0 or (array.dtype.kind in "biufc" and np.can_cast(array.dtype, wanted, "same_kind")):
        return array.astype(wanted)
    raise InvalidTensor(
        f"Input {spec.name!r} is {array.dtype}, the signature takes {spec.dtype}.",
        tensor=spec.name,
        expected=spec.dtype,
        got=str(array.dtype),
    )


def _announce(tensor: Tensor) -> dict[str, Any]:
    datatype = BY_NAME[tensor.dtype].oip
    if datatype is None:
        raise InvalidTensor(
            f"Input {tensor.name!r} is {tensor.dtype}, which the Open Inference Protocol does not have.",
            remedy="Call another signature.",
            tensor=tensor.name,
        )
    size = len(tensor.data)
    return {
        "name": tensor.name,
        "datatype": datatype,
        "shape": list(tensor.shape),
        "parameters": {"binary_data_size": size},
    }


def _read_answer(body: bytes, header_length: str | None) -> dict[str, np.ndarray]:
    split = int(header_length) if header_length else len(body)
    try:
        outputs = orjson.loads(body[:split])["outputs"]
        at = split
        found = {}
        for output in outputs:
            size = output["parameters"]["binary_data_size"]
            dtype = BY_OIP[output["datatype"]].name
            tensor = Tensor(output["name"], dtype, tuple(output["shape"]), body[at : at + size])
            found[tensor.name] = to_array(tensor)
            at += size
    except (orjson.JSONDecodeError, KeyError, TypeError, InvalidTensor) as error:
        raise HubUnreachable("The hub's answer is not one of the Open Inference Protocol.") from error
    return found
