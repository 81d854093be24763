"""The rows of a diff, from two records of the catalog. Pure; a part of diff.

Law: rows are in the order of names, but for what breaks and what is largest, which come first where not all can be
shown.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from hub.domain.interfaces import Contract, InterfaceChange
from hub.domain.manifest import Manifest, TensorEntry
from hub.protocol.diffs import (
    MAX_ROWS,
    CountRow,
    Counts,
    FactRow,
    LineageRow,
    SignatureRow,
    Status,
    StoredTensor,
    TensorRow,
    Tensors,
)
from hub.services.drift import Drift
from hub.storage.catalog import VersionRecord

_Key = tuple[str, str, str]


def signature_rows(
    before: Contract, after: Contract, changes: Sequence[InterfaceChange], *, is_whole: bool
) -> list[SignatureRow]:
    """Every tensor of every signature side by side; only those that differ unless ``is_whole``."""
    by_place: dict[_Key, list[InterfaceChange]] = {}
    for change in changes:
        by_place.setdefault((change.signature, change.side, change.tensor), []).append(change)
    rows = chain.from_iterable(
        _rows_of(name, before, after, by_place) for name in sorted(before.signatures.keys() | after.signatures.keys())
    )
    return [row for row in rows if is_whole or row.effect != "same"]


def _rows_of(
    name: str, before: Contract, after: Contract, changes: Mapping[_Key, list[InterfaceChange]]
) -> Iterator[SignatureRow]:
    was, now = before.signatures.get(name), after.signatures.get(name)
    of_all = list(changes.get((name, "", ""), ()))
    is_alone = True
    for side, befores, afters in (
        ("input", was.inputs if was else {}, now.inputs if now else {}),
        ("output", was.outputs if was else {}, now.outputs if now else {}),
    ):
        for key in sorted(befores.keys() | afters.keys()):
            is_alone = False
            told = of_all + changes.get((name, side, key), [])
            effect, rules = _effect(told)
            if not told and (key in befores) != (key in afters):  # the other end of a new name
                effect, rules = "breaking", (f"{side}.renamed" if was and now else "signature.renamed",)
            facts = {"before": befores.get(key), "after": afters.get(key), "effect": effect, "rules": rules}
            yield SignatureRow.model_validate({"signature": name, "side": side, "name": key} | facts)
    if is_alone:
        effect, rules = _effect(of_all)
        facts = {"before": None, "after": None, "effect": effect, "rules": rules}
        yield SignatureRow.model_validate({"signature": name, "side": "", "name": ""} | facts)


def _effect(changes: Sequence[InterfaceChange]) -> tuple[str, tuple[str, ...]]:
    if not changes:
        return "same", ()
    effect = "breaking" if any(change.is_breaking for change in changes) else "compatible"
    return effect, tuple(dict.fromkeys(change.rule for change in changes))


def changed_pairs(before: Manifest, after: Manifest) -> list[tuple[TensorEntry, TensorEntry]]:
    """Tensors that are in both with different bytes, the largest first; at most as many as are shown."""
    known = {entry.name: entry for entry in before.tensors}
    pairs = [(known[now.name], now) for now in after.tensors if now.name in known and known[now.name] != now]
    return sorted(pairs, key=lambda pair: -max(pair[0].size, pair[1].size))[:MAX_ROWS]


def tensors(before: Manifest, after: Manifest, drifts: Mapping[str, Drift], *, is_whole: bool) -> Tensors:
    """The stored tensors, by name and digest."""
    was, now = ({entry.name: entry for entry in manifest.tensors} for manifest in (before, after))
    statuses = {name: _status(was.get(name), now.get(name)) for name in was.keys() | now.keys()}
    held = {entry.digest for entry in was.values()}
    shared = sum(entry.size for entry in now.values() if entry.digest in held)
    shown = [name for name, status in statuses.items() if is_whole or status != "same"]
    shown.sort(key=lambda name: _weight(name, statuses[name], was, now))
    rows = [_tensor_row(name, statuses[name], was.get(name), now.get(name), drifts) for name in shown[:MAX_ROWS]]
    counts = dict.fromkeys(("same", "changed", "added", "removed"), 0)
    for status in statuses.values():
        counts[status] += 1
    new = sum(entry.size for entry in now.values()) - shared
    return Tensors(**counts, shared_bytes=shared, new_bytes=new, rows=tuple(_by_drift(rows)), total=len(shown))


def _weight(
    name: str, status: str, was: Mapping[str, TensorEntry], now: Mapping[str, TensorEntry]
) -> tuple[int, int, str]:
    sizes = [held[name].size for held in (was, now) if name in held]
    return int(status == "same"), -max(sizes), name


def _by_drift(rows: Iterable[TensorRow]) -> list[TensorRow]:
    """What is only in one of them, then what moved most, then what is the same."""
    order = {"added": 0, "removed": 0, "changed": 1, "same": 2}
    return sorted(rows, key=lambda row: (order[row.status], -(row.drift or 0.0), row.name))


def _tensor_row(
    name: str, status: Status, was: TensorEntry | None, now: TensorEntry | None, drifts: Mapping[str, Drift]
) -> TensorRow:
    drift = drifts.get(name, Drift(None))
    return TensorRow(
        name=name, status=status, before=_stored(was), after=_stored(now), drift=drift.value, note=drift.note
    )


def _stored(entry: TensorEntry | None) -> StoredTensor | None:
    return None if entry is None else StoredTensor(dtype=entry.dtype, shape=entry.shape, size=entry.size)


def _status(was: object, now: object) -> Status:
    if was is None:
        return "added"
    if now is None:
        return "removed"
    return "same" if was == now else "changed"


def ops(before: VersionRecord, after: VersionRecord, *, is_whole: bool) -> Counts:
    """How often each op is in the graphs."""
    was, now = before.report.facts.ops, after.report.facts.ops
    return _counts({name: (was.get(name), now.get(name)) for name in was.keys() | now.keys()}, was, now, is_whole)


def files(before: Manifest, after: Manifest, *, is_whole: bool) -> Counts:
    """The files, by path and digest."""
    was, now = ({file.path: file for file in manifest.files} for manifest in (before, after))
    sizes = {
        path: (was[path].size if path in was else None, now[path].size if path in now else None)
        for path in was.keys() | now.keys()
    }
    digests = [{path: file.digest for path, file in held.items()} for held in (was, now)]
    return _counts(sizes, digests[0], digests[1], is_whole)


def _counts(
    figures: Mapping[str, tuple[int | None, int | None]],
    was: Mapping[str, object],
    now: Mapping[str, object],
    is_whole: bool,
) -> Counts:
    rows = [
        CountRow(name=name, status=_status(was.get(name), now.get(name)), before=one, after=other)
        for name, (one, other) in sorted(figures.items())
    ]
    shown = [row for row in rows if is_whole or row.status != "same"]
    return Counts(rows=tuple(shown[:MAX_ROWS]), total=len(shown))


def facts(before: VersionRecord, after: VersionRecord, *, is_whole: bool) -> list[FactRow]:
    """What else is known of both, in words."""
    told = [_facts(record) for record in (before, after)]
    rows = [FactRow(name=name, before=told[0][name], after=told[1][name]) for name in told[0]]
    return [row for row in rows if is_whole or row.before != row.after]


def _facts(record: VersionRecord) -> dict[str, str]:
    version, report, manifest = record.version, record.report, record.manifest
    probe = report.probe
    return {
        "kind": version.kind.value,
        "state": version.state.value,
        "interface": f"~{version.interface}" if version.interface else "–",
        "bytes": f"{version.size:,}",
        "parameters": f"{report.facts.parameters:,}",
        "TensorFlow": manifest.tensorflow_version or "–",
        "saved by": report.facts.saved_by or "–",
        "loader": (probe.loader if probe else None) or manifest.loader,
        "tunable": report.tunable.answer,
        "portable": report.portable.answer,
    }


def lineage(before: Manifest, after: Manifest) -> list[LineageRow]:
    """Edges that only one of them has."""
    gone = [LineageRow(status="removed", edge=edge) for edge in before.lineage if edge not in after.lineage]
    return gone + [LineageRow(status="added", edge=edge) for edge in after.lineage if edge not in before.lineage]
