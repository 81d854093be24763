"""Headers of the Open Inference Protocol's binary requests, read once for all requests that have the same."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeGuard

from hub.domain.signatures import Signature
from hub.protocol.codecs.json_text import parse_json_object
from hub.protocol.codecs.oip import InferCall, decode_infer
from hub.protocol.frames import Tensor

_SHORT_DIGITS = 4
_MAX_KNOWN = 1_024


class KnownHeaders:
    """Headers of binary requests that were read and checked: who sends the same again is understood at once.

    A client that sends tensors of one shape sends one header, byte for byte. Laws: what is understood so is what
    :func:`decode_infer` would say; a header with tensors in JSON, and one that is long, is read every time.
    """

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[tuple[str, bytes], tuple[InferCall, tuple[tuple[int, int], ...], int]] = {}

    def decode(
        self, body: bytes, header_length: str | None, signatures: Mapping[str, Signature], digest: str
    ) -> InferCall:
        """Read an infer body.

        Args:
            body: The whole body.
            header_length: See :func:`decode_infer`.
            signatures: The signatures of the version that is called.
            digest: The version's digest, by which its signatures are told from those of others.

        Raises:
            InvalidRequest: See :func:`decode_infer`.
            InvalidTensor: See :func:`decode_infer`.
            SignatureNotFound: See :func:`decode_infer`.
        """
        call = self.known(body, header_length, digest)
        if call is None:
            call = decode_infer(body, header_length, signatures)
            if _is_short(header_length):
                self._remember((digest, body[: int(header_length)]), call, body)
        return call

    def known(self, body: bytes, header_length: str | None, digest: str) -> InferCall | None:
        """What ``decode`` would give, where the header is known."""
        if not _is_short(header_length):
            return None
        known = self._known.get((digest, body[: int(header_length)]))
        if known is None or len(body) != known[2]:
            return None
        call, places, _ = known
        view = memoryview(body)
        tensors = [
            Tensor(tensor.name, tensor.dtype, tensor.shape, view[begin:finish])
            for tensor, (begin, finish) in zip(call.tensors, places, strict=True)
        ]
        return InferCall(call.signature, tuple(tensors), call.wanted, call.id, call.priority, call.timeout_s)

    def _remember(self, key: tuple[str, bytes], call: InferCall, body: bytes) -> None:
        at, places = len(key[1]), {}
        for entry in parse_json_object(key[1]).get("inputs", []):
            size = (entry.get("parameters") or {}).get("binary_data_size")
            if size is None:
                return
            places[entry["name"]] = (at, at + size)
            at += size
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        without = tuple(Tensor(tensor.name, tensor.dtype, tensor.shape, b"") for tensor in call.tensors)
        remembered = replace(call, tensors=without)
        self._known[key] = (remembered, tuple(places[tensor.name] for tensor in call.tensors), len(body))


def _is_short(header_length: str | None) -> TypeGuard[str]:
    return header_length is not None and header_length.isdecimal() and len(header_length) <= _SHORT_DIGITS
