"""Inspect a SavedModel: one report from everything this room can see without TensorFlow.

Steps: list the files; see that none is a placeholder; decode the graph; read signatures and tuning face; read the
variables' index; let every rule look; answer the four questions. A step that fails gives a finding and the later ones
see what there is.
"""

import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hub.domain.errors import InvalidModel
from hub.domain.manifest import TensorEntry
from hub.domain.reports import Facts, Finding, Report, Severity
from hub.domain.signatures import Signature, TuningFace
from hub.savedmodel.asset_paths import check_table_files
from hub.savedmodel.bundle import INDEX, Bundle, Span, read_bundle, tensor_entries
from hub.savedmodel.examples import FeatureSpec, example_features
from hub.savedmodel.facts import facts_of
from hub.savedmodel.graph_rules import check_assets, check_graph, check_meta_graphs, check_objects, reaches_of
from hub.savedmodel.layout import SAVED_MODEL, Layout, check_layout, read_layout
from hub.savedmodel.lfs import check_pointers
from hub.savedmodel.limits import MAX_PB_BYTES
from hub.savedmodel.metagraph import MetaGraph, read_saved_model, served
from hub.savedmodel.ops import check_ops, written_state
from hub.savedmodel.reachability import Reach, Role
from hub.savedmodel.reader import Reading, read_signatures
from hub.savedmodel.rules import RULES, bounded, clip, finding
from hub.savedmodel.tuning_face import check_tuning, read_tuning_face
from hub.savedmodel.variable_rules import (
    check_bundle,
    check_numbers,
    check_portable,
    check_presence,
    check_stored_nodes,
    check_stored_objects,
)
from hub.savedmodel.verdicts import merge_probe, static_report
from hub.savedmodel.wire import Malformed

__all__ = ["FeatureSpec", "Inspection", "inspect", "merge_probe"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a SavedModel holds.

    Attributes:
        report: Findings and answers; the probe has not run.
        signatures: What it can be called with, by name.
        tuning_face: What it can be trained through; None where it is not callable.
        tensors: Every stored tensor with its digest; empty unless asked for.
        tensorflow_version: Of the TensorFlow that saved it.
        loader: The TensorFlow loader its format is made for.
        example_features: For signatures that parse a ``tf.Example``, what it must hold.
    """

    report: Report
    signatures: dict[str, Signature]
    tuning_face: TuningFace | None
    tensors: tuple[TensorEntry, ...]
    tensorflow_version: str | None
    loader: Literal["object_graph", "session"]
    example_features: dict[str, dict[str, FeatureSpec]]


@dataclass(slots=True)
class _Scan:
    """What the steps found so far."""

    layout: Layout
    findings: list[Finding] = field(default_factory=list)
    meta: MetaGraph | None = None
    readings: dict[str, Reading] = field(default_factory=dict)
    reaches: list[Reach] = field(default_factory=list)
    face: TuningFace | None = None
    bundle: Bundle | None = None

    def attempt(self, rule_id: str, place: str, step: Callable[[], Iterable[Finding]]) -> None:
        """Collect a step's findings; what it cannot read becomes one."""
        try:
            self.findings.extend(bounded(step()))
        except Malformed as error:
            self.findings.append(finding(rule_id, f"{place} cannot be read: {error}.", place))
        except OSError as error:
            self.findings.append(finding("layout.unreadable", f"{place} cannot be read: {error.strerror}.", place))


def inspect(root: Path, *, with_tensors: bool = False, known_digests: Mapping[Span, str] | None = None) -> Inspection:
    """Read the SavedModel in ``root`` without TensorFlow.

    Args:
        root: Its folder.
        with_tensors: Also hash every stored tensor.
        known_digests: Digests of spans of the files that are known to be right; they are not hashed again.

    Raises:
        InvalidModel: There is nothing at ``root``, or it may not be read.
    """
    layout = _layout_of(root)
    scan = _Scan(layout)
    scan.attempt("layout.unreadable", str(root.name), lambda: check_layout(layout))
    if SAVED_MODEL in layout.files and not _is_hostile_layout(scan.findings):
        scan.attempt("layout.unreadable", str(root.name), lambda: check_pointers(layout))
        if not any(found.rule == "layout.lfs-pointer" for found in scan.findings):
            _scan_content(scan)
    tensors = _tensors(scan, known_digests or {}) if with_tensors else ()
    meta = scan.meta
    return Inspection(
        report=static_report(scan.findings, _facts(scan), is_read=meta is not None),
        signatures=_signatures(scan),
        tuning_face=scan.face,
        tensors=tensors,
        tensorflow_version=clip(meta.tensorflow_version) if meta and meta.tensorflow_version else None,
        loader="session" if meta is not None and meta.objects is None else "object_graph",
        example_features=_example_features(scan),
    )


def _layout_of(root: Path) -> Layout:
    try:
        if root.is_file():
            remedy = "Give the folder that has saved_model.pb in it."
            if root.suffix in (".keras", ".h5"):
                remedy = "Load it with keras.models.load_model and push the model: hub.push(model, 'owner/name')."
            raise InvalidModel(f"{root} is a file, not a SavedModel's folder.", remedy=remedy)
        return read_layout(root)
    except OSError as error:
        raise InvalidModel(f"{root} cannot be read: {error.strerror}.", remedy="Check the path.") from error


def _is_hostile_layout(findings: Sequence[Finding]) -> bool:
    """Whether files may not be what their names say, so that nothing should be opened."""
    return any(found.rule in ("layout.link", "layout.special-file", "layout.too-many-files") for found in findings)


def _scan_content(scan: _Scan) -> None:
    scan.attempt("graph.malformed", SAVED_MODEL, lambda: _read_graph(scan))
    if INDEX in scan.layout.files:
        scan.attempt("variables.malformed", INDEX, lambda: _read_variables(scan))
    meta = scan.meta
    scan.attempt("variables.malformed", INDEX, lambda: check_presence(scan.layout, meta, scan.reaches))
    if meta is None:
        return
    steps: list[Callable[[], Iterable[Finding]]] = [
        lambda: check_graph(meta, scan.reaches),
        lambda: check_assets(meta, scan.layout),
        lambda: check_ops(meta.graph, scan.reaches),
        lambda: check_table_files(meta),
        lambda: check_portable(meta, scan.reaches),
        lambda: _check_states(scan, meta),
    ]
    objects = meta.objects
    if objects is not None:
        steps += [lambda: check_objects(meta, objects), lambda: check_tuning(scan.face)]
    else:
        steps.append(lambda: [finding("tuning.no-call", "TensorFlow 1 models cannot be trained through.", remedy="")])
    for step in steps:
        scan.attempt("graph.malformed", SAVED_MODEL, step)


def _read_graph(scan: _Scan) -> Iterator[Finding]:
    path = scan.layout.root / SAVED_MODEL
    if scan.layout.files[SAVED_MODEL].size > MAX_PB_BYTES:
        raise Malformed("it is larger than protobuf allows")
    meta_graphs = read_saved_model(_mapped(path))
    meta = served(meta_graphs)
    yield from check_meta_graphs(meta_graphs, meta)
    if meta is None:
        return
    readings, findings = read_signatures(meta)
    scan.reaches = reaches_of(meta, readings)
    scan.readings, scan.meta = readings, meta
    yield from findings
    for other in meta_graphs:
        if other is not meta:
            others = check_ops(other.graph, reaches_of(other, read_signatures(other)[0]))
            yield from (found for found in others if RULES[found.rule].question == "safe")
    if meta.objects is not None:
        scan.face = read_tuning_face(meta.objects)


def _mapped(path: Path) -> memoryview:
    """The file's bytes, read when they are looked at."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _read_variables(scan: _Scan) -> Iterator[Finding]:
    bundle = scan.bundle = read_bundle(scan.layout.root)
    broken = list(check_bundle(bundle))
    yield from broken
    if scan.meta is None or broken:
        return
    yield from check_numbers(bundle)
    if scan.meta.objects is not None:
        yield from check_stored_objects(scan.meta.objects, bundle)
    else:
        yield from check_stored_nodes(scan.meta, bundle)


def _check_states(scan: _Scan, meta: MetaGraph) -> Iterator[Finding]:
    for reached in scan.reaches:
        ops = written_state(meta.graph, reached) if reached.role is Role.SIGNATURE else []
        if ops:
            message = f"Signature {clip(reached.label)} writes state ({', '.join(ops[:3])})."
            yield finding("signature.stateful", message, f"signature {clip(reached.label)}")


def _facts(scan: _Scan) -> Facts:
    try:
        return facts_of(scan.layout, scan.meta, scan.reaches)
    except Malformed:
        return facts_of(scan.layout, None, ())


def _signatures(scan: _Scan) -> dict[str, Signature]:
    if scan.meta is None:
        return {}
    graph = scan.meta.graph
    writers = {
        reached.label for reached in scan.reaches if reached.role is Role.SIGNATURE and written_state(graph, reached)
    }
    return {
        name: reading.signature.model_copy(update={"is_stateful": name in writers})
        for name, reading in scan.readings.items()
    }


def _example_features(scan: _Scan) -> dict[str, dict[str, FeatureSpec]]:
    if scan.meta is None:
        return {}
    found = {}
    for reached in scan.reaches:
        try:
            features = example_features(scan.meta.graph, reached) if reached.role is Role.SIGNATURE else {}
        except Malformed:
            continue
        if features:
            found[reached.label] = features
    return found


def _tensors(scan: _Scan, known: Mapping[Span, str]) -> tuple[TensorEntry, ...]:
    if scan.bundle is None or any(found.severity is Severity.ERROR for found in scan.findings):
        return ()
    return tensor_entries(scan.bundle, known)
