"""How the difference of two versions travels.

Law: every list of rows is bounded, with the total beside it; a row that is left out is counted.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.interfaces import InterfaceChange
from hub.domain.lineage import Edge
from hub.domain.metrics import Better, Metric
from hub.domain.tensors import TensorSpec
from hub.domain.versions import Version

MAX_ROWS = 200


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Status = Literal["added", "removed", "changed", "same"]
Effect = Literal["breaking", "compatible", "same"]


class SignatureRow(_Answer):
    """One tensor of one signature, before and after; ``before`` or ``after`` is None where it is not there.

    ``side`` is empty for a signature that takes and gives nothing.
    """

    signature: str
    side: Literal["input", "output", ""]
    name: str
    before: TensorSpec | None
    after: TensorSpec | None
    effect: Effect
    rules: tuple[str, ...] = ()


class StoredTensor(_Answer):
    """A tensor of the variables, as it is stored."""

    dtype: str
    shape: tuple[int, ...]
    size: int


class TensorRow(_Answer):
    """One tensor of the variables, before and after.

    ``drift`` is the L2 norm of the difference over the L2 norm before: 0.01 is a change by one per cent. Where it is
    None for a changed tensor, ``note`` says why.
    """

    name: str
    status: Status
    before: StoredTensor | None
    after: StoredTensor | None
    drift: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    note: str = ""


class CountRow(_Answer):
    """How often an op is there, or how many bytes a file has; None where it is not there."""

    name: str
    status: Status
    before: int | None
    after: int | None


class FactRow(_Answer):
    """One fact in words."""

    name: str
    before: str
    after: str


class MetricRow(_Answer):
    """One curve of a training job, before and after; ``before`` or ``after`` is None where it is not there.

    ``delta`` is from the last value before to the last after. ``improved`` says whether that is for the better; None
    where it is the same, or the tag does not say what is better.
    """

    tag: str
    run: str
    better: Better | None
    status: Status
    before: Metric | None
    after: Metric | None
    delta: Annotated[float, Field(allow_inf_nan=False)] | None = None
    improved: bool | None = None


class Metrics(_Answer):
    """Rows of metrics."""

    rows: tuple[MetricRow, ...]
    total: int


class LineageRow(_Answer):
    """An edge that only one of the two has."""

    status: Literal["added", "removed"]
    edge: Edge


class HeadRow(_Answer):
    """A head that hangs on the trunk version before, and what the one after would mean for it.

    ``fits`` is whether the trunk after could feed it; ``is_compatible`` whether its callers would notice nothing.
    """

    head: Version
    fits: bool
    is_compatible: bool
    reasons: tuple[str, ...] = ()


class Tensors(_Answer):
    """The stored tensors: how many of each status, the bytes that are not shared, and rows."""

    same: int
    changed: int
    added: int
    removed: int
    shared_bytes: int
    new_bytes: int
    rows: tuple[TensorRow, ...]
    total: int


class Counts(_Answer):
    """Rows of ops or files."""

    rows: tuple[CountRow, ...]
    total: int


class Heads(_Answer):
    """Heads on the trunk before that were looked at; ``hidden`` are those the reader may not see."""

    rows: tuple[HeadRow, ...]
    total: int
    breaking: int
    hidden: int


class VersionDiff(_Answer):
    """What differs between two versions; only what differs, unless all was asked for.

    ``heads`` is None unless both are trunks.
    """

    before: Version
    after: Version
    verdict: Literal["identical", "compatible", "breaking"]
    summary: str
    changes: tuple[InterfaceChange, ...]
    changes_total: int
    signatures: tuple[SignatureRow, ...]
    signatures_total: int
    facts: tuple[FactRow, ...]
    metrics: Metrics = Metrics(rows=(), total=0)
    tensors: Tensors
    ops: Counts
    files: Counts
    lineage: tuple[LineageRow, ...]
    heads: Heads | None
