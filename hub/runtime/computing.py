"""Computing: one batch on the device. The signature that is fed runs once, then each head on the rows that want it.

Laws: every job gets what it would have got alone, but for rounding; a job that fails in company is tried alone, so that
nobody fails for another's input; an answer that has not a row for each that was asked is nobody's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.domain.signatures import pair_features
from hub.protocol.frames import Tensor
from hub.runtime.answers import as_tensors, rows_as_tensors
from hub.runtime.batches import padded_size, require_rows, rows_of, spans, stack, stack_tensors
from hub.runtime.limits import AnswerLimits
from hub.runtime.marks import UNMARKED, Mark
from hub.runtime.servable import Servable, Value, as_array, signature_of

Answers = list[Tensor]
_LIMITS = AnswerLimits()


@dataclass(frozen=True, slots=True)
class Call:
    """A signature of a loaded version; for the rest see ``hub.runtime.orders.Choice``."""

    servable: Servable
    signature: str
    has_independent_rows: bool = False
    best_rows: int = 0

    def features(self, fed_by: "Call") -> dict[str, str]:
        """Input of this head to output of the trunk that feeds it."""
        trunk = signature_of(fed_by.servable.order, fed_by.signature)
        return pair_features(trunk, signature_of(self.servable.order, self.signature))


@dataclass(slots=True)  # not frozen: that takes three times as long to make
class Job:
    """A request to compute.

    Attributes:
        id: Its number.
        rows: Its size along axis 0; 1 where it has none.
        priority: Smaller is more urgent.
        tensors: The inputs of the signature that is fed.
        heads: What is wanted of what that gives; where there is none, that itself.
        arrived: When it came.
        is_traced: Whether its sender wants to know of its batch.
    """

    id: int
    rows: int
    priority: int
    tensors: tuple[Tensor, ...]
    heads: tuple[Call, ...] = ()
    arrived: float = 0.0
    is_traced: bool = False


def compute(
    feeding: Call,
    jobs: Sequence[Job],
    sizes: Sequence[int] = (),
    mark: Mark = UNMARKED,
    limits: AnswerLimits = _LIMITS,
) -> list[Answers | Exception]:
    """Compute jobs together.

    Args:
        feeding: What every job's tensors go into.
        jobs: At least one; several only where its rows are independent.
        sizes: Allowed batch sizes, growing; any where there are none.
        mark: Told which version runs.
        limits: What the answer to one job may have.

    Returns:
        For each job its tensors, or what went wrong. Where a job has several heads, the name of a tensor is the head's
        position in the job, a slash, and the output's name.
    """
    try:
        return list(_together(feeding, jobs, sizes, mark, limits))
    except Exception as error:  # noqa: BLE001 - models are other people's programs: TensorFlow may raise anything
        if len(jobs) == 1:
            return [error]
    return [answer for job in jobs for answer in compute(feeding, [job], sizes, mark, limits)]


def _together(
    feeding: Call, jobs: Sequence[Job], sizes: Sequence[int], mark: Mark, limits: AnswerLimits
) -> list[Answers]:
    mark.at(feeding.servable.order.digest)
    mark.request(jobs[0].id if len(jobs) == 1 else 0)
    inputs = stack_tensors([job.tensors for job in jobs])
    outputs = _run(feeding, inputs, sum(job.rows for job in jobs), sizes)
    places = list(spans([job.rows for job in jobs]))
    if not any(job.heads for job in jobs):
        return rows_as_tensors(outputs, places, limits) if len(jobs) > 1 else [as_tensors(outputs, limits)]
    answers: list[Answers] = [[] for _ in jobs]
    if len(jobs) > 1:
        outputs = {name: as_array(value) for name, value in outputs.items()}
    for head, wanted in _by_head(jobs).items():
        mark.at(head.servable.order.digest)
        mine = [places[position] for position, _ in wanted] if feeding.has_independent_rows else [(0, 0)]
        features = _features(head, feeding, outputs, mine)
        for (position, prefix), values in zip(wanted, _on_features(head, features, mine, sizes), strict=True):
            answers[position] += as_tensors(values, limits, prefix, answers[position])
    for position, job in enumerate(jobs):
        if not job.heads:
            answers[position] = as_tensors(rows_of(outputs, *places[position]), limits)
    return answers


def _by_head(jobs: Sequence[Job]) -> dict[Call, list[tuple[int, str]]]:
    """For each head the positions of the jobs that want it, and what its outputs' names begin with there."""
    wanted: dict[Call, list[tuple[int, str]]] = {}
    for position, job in enumerate(jobs):
        for number, head in enumerate(job.heads):
            prefix = f"{number}/" if len(job.heads) > 1 else ""
            wanted.setdefault(head, []).append((position, prefix))
    return wanted


def _features(
    head: Call, feeding: Call, outputs: Mapping[str, Value], places: Sequence[tuple[int, int]]
) -> list[dict[str, Value]]:
    pairs = head.features(feeding)
    taken = {into: outputs[out] for into, out in pairs.items()}
    if not feeding.has_independent_rows:
        return [taken]
    return [rows_of(taken, begin, end) for begin, end in places]


def _on_features(
    head: Call, features: Sequence[dict[str, Value]], places: Sequence[tuple[int, int]], sizes: Sequence[int]
) -> list[dict[str, Value]]:
    counts = [end - begin for begin, end in places]
    if len(features) == 1 or not head.has_independent_rows:
        return [_run(head, values, rows, sizes) for values, rows in zip(features, counts, strict=True)]
    outputs = _run(head, stack(features), sum(counts), sizes)
    arrays = {name: as_array(value) for name, value in outputs.items()}
    return [rows_of(arrays, begin, end) for begin, end in spans(counts)]


def _run(call: Call, inputs: Mapping[str, Value], rows: int, sizes: Sequence[int]) -> dict[str, Value]:
    """Call a signature, padded to an allowed size where its rows are independent; 0 where their number is not known."""
    if not call.has_independent_rows or not rows:
        return call.servable.run(call.signature, inputs)
    size = padded_size(rows, sizes)
    if size > rows:
        inputs = stack([{name: as_array(value) for name, value in inputs.items()}], size)
    outputs = call.servable.run(call.signature, inputs)
    require_rows(outputs, size)
    return rows_of(outputs, 0, rows) if size > rows else outputs
