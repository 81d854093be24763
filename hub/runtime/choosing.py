"""Choosing: which way to call a signature is fastest here, whether its rows are independent, and how many at a time.

Every way is called on the same inputs in turns, so that what else the machine does meanwhile strikes all alike; the
best times count. A GPU rounds the factors of convolutions and products to 10 bits, by other algorithms for other batch
sizes, so that right answers may differ by a few hundredths there: they are compared again in full precision, in batch
sizes that are not served. On a CPU a batch that outgrows the caches takes longer, row for row, than a small one, so
growing ones are timed there until they bring nothing more. Laws: a way that answers differently from the plain one is
dropped, whatever its speed; a signature that changes state is called in the plain way only and alone; what was chosen
once can be taken up again without measuring.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import structlog

from hub.domain.signatures import Signature
from hub.runtime.batches import MAX_BATCH_BYTES, Arrays, has_rows, stack
from hub.runtime.devices import Device
from hub.runtime.orders import Choice, WayName
from hub.runtime.placement import exact
from hub.runtime.servable import Servable, as_array
from hub.runtime.trials import differences

Measured = Callable[[], AbstractContextManager[None]]
BUDGET_S = 1.5
_MOST_CALLS = 30
_SIZES = (1, 8)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)
_BATCH_ROUNDS, _GROWING_S = 4, 0.15  # past that much only what is faster still makes room for larger ones
_BESIDE_S = 0.001  # that a batch takes outside the model: threads that wake, queues, answers
_WORTH_IT = 0.97  # of the time of a row: what a larger batch has to get below
_UNSERVED = 3
_STRICT, _EXACT, _ROUNDED = 1e-4, 1e-3, 5e-2  # of an output's largest value
_log = structlog.get_logger()


def choose(
    servable: Servable,
    signature: Signature,
    inputs: Iterator[Arrays],
    device: Device,
    measured: Measured = nullcontext,
) -> Choice:
    """Find out how a signature is called best, and have it called so.

    Args:
        servable: The loaded version.
        signature: One of its signatures.
        inputs: What it may be called on, the likeliest first; the first that it answers counts.
        device: What it is loaded on.
        measured: Entered around each call that is timed.
    """
    if signature.is_stateful:
        return Choice()
    found = _answered(servable, signature, inputs)
    if found is None:
        return Choice()
    sample, answers = found
    is_rounded = device.kind == "gpu"
    tolerance = _ROUNDED if is_rounded else _STRICT
    is_independent = has_rows(signature) and _are_independent(servable, signature, sample, answers, tolerance)
    if is_independent and is_rounded:
        is_independent = _are_exactly_independent(servable, signature, sample)
    sizes = _SIZES if is_independent else (0,)
    samples = [_resized(sample, size) if size else sample for size in sizes]
    trial = _resized(sample, _UNSERVED) if is_independent and is_rounded else None
    ratios, ways = _measure(servable, signature, samples, tolerance, trial, measured)
    best = min(ratios, key=lambda name: ratios[name])
    if best != "plain":
        servable.adopt(signature.name, best, ways[best])
    _log.info("signature.tuned", signature=signature.name, way=best, ratios=ratios, independent_rows=is_independent)
    return Choice(best, is_independent, ratios)


def choose_rows(
    servable: Servable,
    signature: Signature,
    choice: Choice,
    inputs: Iterator[Arrays],
    device: Device,
    measured: Measured = nullcontext,
) -> Choice:
    """Find out how many rows a signature is best called on at once; see ``choose``, which comes before."""
    if not choice.has_independent_rows or device.kind != "cpu":
        return choice
    found = _answered(servable, signature, inputs)
    if found is None:
        return choice
    best_rows = _best_rows(partial(_run, servable, signature), found[0], measured)
    _log.info("signature.sized", signature=signature.name, best_rows=best_rows)
    return replace(choice, best_rows=best_rows)


def warm(
    servable: Servable, signature: Signature, choice: Choice, inputs: Iterator[Arrays], sizes: Sequence[int]
) -> None:
    """Call a signature as it will be called, so that nobody waits for what the first call of a size sets up.

    Args:
        servable: The loaded version.
        signature: One of its signatures; one that changes state is left alone.
        choice: How it is called.
        inputs: What it may be called on, the likeliest first; the first that it answers counts.
        sizes: Allowed batch sizes; where there are none, the size that comes counts.
    """
    found = None if signature.is_stateful else _answered(servable, signature, inputs)
    if found is None or not choice.has_independent_rows:
        return
    for size in sizes:
        _run(servable, signature, _resized(found[0], size))


def take_up(servable: Servable, signature: Signature, choice: Choice) -> Choice:
    """Have a signature called as it was chosen before; in the plain way where that cannot be had any more."""
    if choice.way == "plain":
        return choice
    try:
        servable.adopt(signature.name, choice.way, dict(servable.ways(signature.name))[choice.way]())
    except Exception as error:  # noqa: BLE001 - models are other people's programs: TensorFlow may raise anything
        _log.warning("signature.not_tuned", signature=signature.name, way=choice.way, error=repr(error)[:500])
        return replace(choice, way="plain")
    return choice


def _answered(
    servable: Servable, signature: Signature, inputs: Iterator[Arrays]
) -> tuple[Arrays, dict[str, np.ndarray]] | None:
    for sample in inputs:
        try:
            return sample, _run(servable, signature, sample)
        except Exception as error:  # noqa: BLE001 - it may not like this input, and say so in any way
            _log.debug("signature.refused", signature=signature.name, error=repr(error)[:500])
    return None


def _run(servable: Servable, signature: Signature, inputs: Arrays) -> dict[str, np.ndarray]:
    return {name: as_array(value) for name, value in servable.run(signature.name, inputs).items()}


def _are_exactly_independent(servable: Servable, signature: Signature, sample: Arrays) -> bool:
    """Whether rows give the same in another company, in full precision."""
    order = np.array([2, 1, 0, 1, 0])
    sample = _varied(sample, _UNSERVED)
    try:
        with exact():
            here = _run(servable, signature, sample)
            there = _run(servable, signature, {name: value[order] for name, value in sample.items()})
        found = {name: value[order] for name, value in here.items()}
    except Exception as error:  # noqa: BLE001 - a model may refuse other sizes in any way
        _log.debug("signature.size_refused", signature=signature.name, error=repr(error)[:500])
        return False
    return _agree(found, there, _EXACT)


def _are_independent(
    servable: Servable, signature: Signature, sample: Arrays, answers: Arrays, tolerance: float
) -> bool:
    """Whether a batch gives what its rows give alone."""
    if any(len(value) < 1 for value in sample.values()) or len({len(value) for value in sample.values()}) != 1:
        return False
    rows = len(next(iter(sample.values())))
    try:
        if rows == 1:
            sample, rows = _varied(sample, 2), 2
            answers = _run(servable, signature, sample)
        alone = [
            _run(servable, signature, {name: value[row : row + 1] for name, value in sample.items()})
            for row in range(rows)
        ]
    except Exception as error:  # noqa: BLE001 - a model may refuse other sizes in any way
        _log.debug("signature.size_refused", signature=signature.name, error=repr(error)[:500])
        return False
    if any(len(part[name]) != 1 for part in alone for name in part):
        return False
    return _agree(answers, stack(alone), tolerance)


def _best_rows(call: Callable[[Arrays], Any], sample: Arrays, measured: Measured) -> int:
    """The smallest batch that no larger one beats, row for row; 0 where that is the largest of all."""
    row_bytes = sum(value[:1].nbytes for value in sample.values())
    times: dict[int, float] = {}
    for rows in _BATCHES:
        if times and rows * row_bytes > MAX_BATCH_BYTES:
            break
        try:
            times[rows] = _timed(call, _resized(sample, rows), measured)
        except Exception as error:  # noqa: BLE001 - a model may refuse other sizes in any way
            _log.debug("batch.refused", rows=rows, error=repr(error)[:500])
            break
        spent_s, best = sum(times.values()), _fastest(times)
        if spent_s > BUDGET_S or best * 4 <= rows or (spent_s > _GROWING_S and best < rows):
            break
    if not times:
        return 1
    for _ in range(min(_BATCH_ROUNDS, int(BUDGET_S / sum(times.values())))):
        for rows in times:
            times[rows] = min(times[rows], _timed(call, _resized(sample, rows), measured))
    best = _fastest(times)
    return 0 if best == _BATCHES[-1] else best


def _fastest(times: Mapping[int, float]) -> int:
    """The smallest batch of those that were timed that no larger one beats."""
    of_a_row = {rows: (taken + _BESIDE_S) / rows for rows, taken in times.items()}
    return next(rows for rows, taken in of_a_row.items() if taken * _WORTH_IT <= min(of_a_row.values()))


def _timed(call: Callable[[Arrays], Any], inputs: Arrays, measured: Measured) -> float:
    with measured():
        began = time.perf_counter()
        call(inputs)
        return time.perf_counter() - began


def _agree(reference: Arrays, other: Arrays, tolerance: float) -> bool:
    return not differences(reference, other, of_largest=tolerance)


def _resized(sample: Arrays, rows: int) -> dict[str, np.ndarray]:
    return {name: value[np.arange(rows) % len(value)] for name, value in sample.items()}


def _varied(sample: Arrays, rows: int) -> dict[str, np.ndarray]:
    """So many rows, none of decimal numbers like another: equal rows would hide that they depend on each other."""
    found = _resized(sample, rows)
    for name, value in found.items():
        if value.dtype.kind == "f":
            halved = 2.0 ** -(np.arange(rows) // len(sample[name]))
            found[name] = (value * halved.reshape(-1, *[1] * (value.ndim - 1))).astype(value.dtype)
    return found


def _answers(way: Any, calls: Sequence[Arrays], trial: Arrays | None) -> tuple[list[Arrays], list[Arrays]]:
    """What a way gives for calls, and for the trial in full precision."""
    tried: list[Arrays] = []
    if trial is not None:
        with exact():
            tried = [_arrays_of(way, trial)]
    return [_arrays_of(way, call) for call in calls], tried


def _measure(
    servable: Servable,
    signature: Signature,
    calls: Sequence[Arrays],
    tolerance: float,
    trial: Arrays | None,
    measured: Measured,
) -> tuple[dict[WayName, float], dict[WayName, Any]]:
    """Time by way as a share of the plain one's: the mean over the samples of the best times."""
    ways: dict[WayName, Any] = {}
    references: tuple[list[Arrays], list[Arrays]] | None = None
    for name, maker in servable.ways(signature.name):
        try:
            way = maker()
            answers = _answers(way, calls, trial)
            references = references or answers
            is_right = all(
                _agree(want, answer, within)
                for side, within in enumerate((tolerance, _EXACT))
                for want, answer in zip(references[side], answers[side], strict=True)
            )
        except Exception as error:  # noqa: BLE001 - a way that cannot be had is none
            _log.debug("way.unusable", signature=signature.name, way=name, error=repr(error)[:500])
            continue
        if is_right:
            ways[name] = way
        else:
            _log.info("way.differs", signature=signature.name, way=name)
    if "plain" not in ways:
        return {"plain": 1.0}, {}
    best = {name: [math.inf] * len(calls) for name in ways}
    spent_s = 0.0
    for round_number in range(_MOST_CALLS):
        if round_number > 1 and spent_s > BUDGET_S:
            break
        for name, way in ways.items():
            for at, call in enumerate(calls):
                taken = _timed(partial(_arrays_of, way), call, measured)
                best[name][at] = min(best[name][at], taken)
                spent_s += taken
    ratios = {
        name: round(math.prod(t / p for t, p in zip(times, best["plain"], strict=True)) ** (1 / len(calls)), 3)
        for name, times in best.items()
    }
    return ratios, ways


def _arrays_of(way: Any, inputs: Arrays) -> dict[str, np.ndarray]:
    return _as_arrays(way(inputs))


def _as_arrays(values: Any) -> dict[str, np.ndarray]:
    return {str(at): as_array(value) for at, value in enumerate(values)}
