"""Trials: calling one signature on candidate inputs until it answers, and comparing answers with what it declares."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from hub.domain.errors import HubError
from hub.domain.reports import SignatureProbe
from hub.domain.signatures import Signature
from hub.domain.tensors import shape_fits
from hub.runtime.failures import cannot_run, describe
from hub.runtime.servable import as_array, dtype_name

Arrays = Mapping[str, np.ndarray]
_LONGEST_S = 30.0
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5


@dataclass(frozen=True, slots=True)
class Trial:
    """What a signature did; inputs and outputs only where it answered.

    ``is_repeatable`` claims that a second call on the same inputs gave the same outputs.
    """

    probe: SignatureProbe
    inputs: Arrays | None = None
    outputs: Arrays | None = None
    is_repeatable: bool = True


def try_signature(signature: Signature, call: Callable[[Arrays], Mapping], tried: Iterator[Arrays]) -> Trial:
    """Call a signature with one candidate after the other until it answers.

    Args:
        signature: What it declares.
        call: Gives outputs by name, or raises.
        tried: The candidates.
    """
    first_error: BaseException | None = None
    began = time.monotonic()
    try:
        for inputs in tried:
            if time.monotonic() - began > _LONGEST_S:
                break
            try:
                return _answered(signature, call, inputs)
            except Exception as error:  # noqa: BLE001 - the version is other people's program: it may raise anything
                if cannot_run(error):
                    return Trial(SignatureProbe(status="failed", detail=describe(error)))
                first_error = first_error or error
    except HubError as error:  # there are no candidates for such a signature
        first_error = error
    said = describe(first_error) if first_error else "No input that fits is small enough to try."
    return Trial(SignatureProbe(status="inputs-refused", detail=said))


def _answered(signature: Signature, call: Callable[[Arrays], Mapping], inputs: Arrays) -> Trial:
    values = call(inputs)
    mismatch = _mismatch(signature, values)
    outputs = {name: as_array(value) for name, value in values.items()}
    began = time.perf_counter()
    again = {name: as_array(value) for name, value in call(inputs).items()}
    call_ms = (time.perf_counter() - began) * 1e3
    probe = SignatureProbe(status="answered", detail=mismatch, call_ms=round(call_ms, 3), matches_spec=not mismatch)
    return Trial(probe, inputs, outputs, is_repeatable=not differences(outputs, again))


def _mismatch(signature: Signature, values: Mapping) -> str:
    for name, spec in signature.outputs.items():
        dtype, shape = dtype_name(values[name]), tuple(values[name].shape)
        if dtype != spec.dtype or not shape_fits(shape, spec.shape):
            return f"Output {name!r} is {dtype}{list(shape)}, the signature declares {spec}."
    return ""


def differences(ours: Arrays, theirs: Arrays, *, of_largest: float | None = None) -> str:
    """Where two answers differ by more than 1e-4 relative and 1e-5 absolute; empty when they do not.

    Two kernels of one computation, fused differently, differ in the last bits only. With ``of_largest`` they may differ
    by that share of the tensor's largest value, and by 1e-5: folding a normalisation into a convolution rounds at the
    size of its largest terms.
    """
    for name, left in ours.items():
        right = theirs[name]
        if left.shape != right.shape or left.dtype != right.dtype:
            return f"Output {name!r} is {right.dtype}{list(right.shape)} instead of {left.dtype}{list(left.shape)}."
        if left.dtype.kind in "OSUb" or left.dtype.kind in "iu":
            same = bool(np.array_equal(left, right))
        else:
            wide = np.complex128 if left.dtype.kind == "c" else np.float64
            left, right = left.astype(wide), right.astype(wide)
            relative, absolute = _RELATIVE, _ABSOLUTE
            if of_largest is not None:
                largest = float(np.abs(left[np.isfinite(left)]).max(initial=0.0))
                relative, absolute = 0.0, _ABSOLUTE + of_largest * largest
            same = np.allclose(left, right, relative, absolute, equal_nan=True)
        if not same:
            return f"Output {name!r} has other values."
    return ""
