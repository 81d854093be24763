"""Push: a directory, or a Keras model, becomes a version of a model in a hub.

1. Inspect: the very checks the hub will run and what callers of the version before will notice, before a byte is sent.
2. Hash every file once, and say what there is.
3. Send the blobs that the hub does not have.
4. Complete; the hub checks and tries the version; wait for its verdict.
5. Put the curves of its training beside it, where there are some.

Laws: every step may be repeated, so the same push again after any failure goes on where that one stopped; content that
the model has already is not pushed again; a version whose verdict is not ``ready`` is raised as :class:`InvalidModel`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from hub.client.digesting import Source, cut_files, sources
from hub.client.http import ATTEMPTS
from hub.client.operations import Operations
from hub.client.outlook import Outlook, OutlookSink, look_ahead, require_no_break, warn
from hub.client.pace import Pace
from hub.client.places import Places
from hub.client.progress import Meter, Progress, ProgressSink, Stage, silent
from hub.client.summaries import read_summaries
from hub.client.transfer import Transfer
from hub.client.wording import worded
from hub.domain.errors import (
    BlobsMissing,
    ExtraMissing,
    HubUnreachable,
    InvalidModel,
    InvalidName,
    NotAvailable,
    Unauthorized,
)
from hub.domain.lineage import Edge, EdgeKind
from hub.domain.manifest import Draft, File, Kind
from hub.domain.names import ModelName, parse_reference
from hub.domain.reports import Finding, Report
from hub.domain.signatures import SERVING_DEFAULT, Signature, pair_features
from hub.domain.versions import State, Version
from hub.protocol.curves import PutCurves
from hub.protocol.schemas import BeginPush, PushTicket, VersionDetail
from hub.savedmodel.inspect import Inspection, inspect
from hub.savedmodel.layout import read_layout

POLL_S = 20


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push came to.

    Attributes:
        version: The version; None after a dry run.
        report: What the hub found; after a dry run, what was found here.
        is_existing: The model had this content already.
        size: Bytes of all files.
        sent: Bytes that had to be sent.
        outlook: What was foreseen for callers of the version before; None where a dry run did not reach the hub.
        curves: The curves of the training, where its summaries were named.
    """

    version: Version | None
    report: Report = field(repr=False)
    is_existing: bool
    size: int
    sent: int
    outlook: Outlook | None = None
    curves: PutCurves | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Content:
    root: Path
    lineage: tuple[Edge, ...]


def push(
    path_or_model: Any,
    name: str,
    *,
    alias: str | None = None,
    head_of: str | None = None,
    derived_from: str | None = None,
    card: str | None = None,
    message: str = "",
    is_private: bool | None = None,
    sign: Path | str | None = None,
    summaries: Path | str | None = None,
    dry_run: bool = False,
    no_break: bool = False,
    limit_rate: float | None = None,
    progress: ProgressSink = silent,
    foreseen: OutlookSink = warn,
    client: Operations | None = None,
) -> Pushed:
    """Publish a SavedModel directory or a Keras model.

    Args:
        path_or_model: A directory, or a Keras model: a head where it is built on an unchanged ``hub.trunk``.
        name: ``owner/name`` or ``owner/name:alias``.
        alias: Moves there once the version is ready.
        head_of: The trunk that feeds this model; makes it a head.
        derived_from: The version it was fine-tuned from.
        card: Markdown that describes the model.
        message: What is new in this version.
        is_private: Whether only people with a token see the model; None leaves it as it is.
        sign: A private EC P-256 key in a PEM file, with which the content is signed under this name.
        summaries: A folder of ``tf.summary`` event files, whose curves the version gets; pushing the same content
            again with them is enough.
        dry_run: Check and hash, send nothing.
        no_break: Refuse what breaks callers of the version before; the hub refuses it too.
        limit_rate: Most bytes per second.
        progress: Told how far it is.
        foreseen: Told what the push will mean for callers, before a byte is sent; by default breaks are logged.
        client: The hub; by default the one of the environment.

    Raises:
        InvalidName: The name is not one.
        InvalidModel: It is not a model a hub takes; ``facts["findings"]`` says why.
        BreaksCallers: It breaks callers, and ``no_break`` was asked for.
        DigestMismatch: A file changed meanwhile.
        InvalidRequest: ``sign`` is no such key, or there are no curves in ``summaries``.
        InvalidAttestation: The hub does not know the key, or takes signed pushes only.
        ExtraMissing: A Keras model is pushed where TensorFlow is not installed, or signed where cryptography is not.
        HubUnreachable: No answer from the hub.
    """
    model, alias = _target(name, alias)
    with ExitStack() as stack:
        hub = client or stack.enter_context(Operations())
        content = stack.enter_context(_content(path_or_model))
        signer = _signer(Path(sign).expanduser()) if sign is not None else None
        progress(Progress(Stage.INSPECT))
        inspection = _accepted(content.root)
        curves = read_summaries(Path(summaries).expanduser()) if summaries is not None else None
        lineage = content.lineage + _edges(hub, inspection.signatures, head_of, derived_from)
        outlook = _foresee(hub, str(model), inspection, lineage, dry_run=dry_run, no_break=no_break)
        if outlook is not None:
            foreseen(outlook)
        files = _cut(content.root, progress)
        size = sum(file.size for file in files)
        if dry_run:
            return Pushed(None, inspection.report, is_existing=False, size=size, sent=0, outlook=outlook, curves=curves)
        draft = _draft(files, lineage, keeps_interface=no_break)
        request = worded(
            BeginPush,
            model=str(model),
            draft=draft,
            alias=alias,
            message=message,
            card=card,
            is_private=is_private,
            attestation=signer(model, draft) if signer else None,
        )
        version, ticket, sent = _send(hub, request, content.root, progress, Pace(limit_rate))
        final = _verdict(hub, version, progress)
        if alias is not None and alias not in final.version.aliases:
            hub.set_alias(str(model), alias, version.number)
            final = hub.version(str(model), version.number)
        if curves is not None:
            hub.put_curves(str(model), version.number, curves)
    return Pushed(
        final.version,
        final.report,
        is_existing=ticket.existing is not None,
        size=size,
        sent=sent,
        outlook=outlook,
        curves=curves,
    )


def _target(name: str, alias: str | None) -> tuple[ModelName, str | None]:
    reference = parse_reference(name)
    if reference.number is not None or reference.digest is not None or reference.interface is not None:
        raise InvalidName(
            f"{name!r} names a version, which a push makes.",
            remedy=f"Write {reference.model} or {reference.model}:alias.",
        )
    return reference.model, alias or reference.alias


@contextmanager
def _content(path_or_model: Any) -> Iterator[_Content]:
    if isinstance(path_or_model, str | Path):
        yield _Content(Path(path_or_model).expanduser(), ())
        return
    try:
        exporter = import_module("hub.finetune.push")
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"Pushing a {type(path_or_model).__name__} needs {error.name}, which is not installed.",
            remedy='Install it with: pip install "trunkhub[finetune]". Or push the directory of a SavedModel.',
        ) from error
    with TemporaryDirectory(prefix="hub-push-") as directory:
        parts = exporter.export_for_push(path_or_model, Path(directory) / "export")
        yield _Content(Path(parts.path), tuple(parts.lineage))


def _signer(key: Path) -> Callable[[ModelName, Draft], str]:
    """What signs, before anything that takes long is done."""
    try:
        signing = import_module("hub.client.signing")
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"Signing needs {error.name}, which is not installed.",
            remedy='Install it with: pip install "trunkhub[sign]"',
        ) from error
    return partial(signing.attestation, signing.Signer(key))


def _accepted(root: Path) -> Inspection:
    inspection = inspect(root)
    errors = inspection.report.errors()
    if not inspection.report.is_accepted:
        raise _refused(f"{root} is not a model a hub takes", errors, inspection.report)
    return inspection


def _refused(what: str, errors: list[Finding], report: Report) -> InvalidModel:
    reasons = [finding.message for finding in errors] or [*report.servable.reasons, *report.safe.reasons]
    remedy = next((finding.remedy for finding in errors if finding.remedy), None)
    return InvalidModel(
        f"{what}: {reasons[0].rstrip('.') if reasons else 'no reason was given'}.",
        remedy=remedy,
        findings=[finding.model_dump(mode="json") for finding in errors],
    )


def _edges(
    client: Operations, signatures: Mapping[str, Signature], head_of: str | None, derived_from: str | None
) -> tuple[Edge, ...]:
    edges = []
    if head_of is not None:
        edges.append(_head_edge(client, signatures, client.resolve(head_of)))
    if derived_from is not None:
        base = client.resolve(derived_from)
        edges.append(Edge(kind=EdgeKind.FINETUNED_FROM, model=base.model, number=base.number, digest=base.digest))
    return tuple(edges)


def _head_edge(client: Operations, signatures: Mapping[str, Signature], trunk: Version) -> Edge:
    if trunk.kind is not Kind.TRUNK:
        raise InvalidModel(f"{trunk.reference} is a head; a head stands on a trunk.", remedy="Name a trunk.")
    offered = client.version(trunk.model, trunk.number).signatures
    name = SERVING_DEFAULT if SERVING_DEFAULT in offered or len(offered) != 1 else next(iter(offered))
    if name not in offered:
        raise InvalidModel(
            f"{trunk.reference} has no signature {name!r} for a head to stand on; it has {sorted(offered)}."
        )
    for signature in signatures.values():
        pair_features(offered[name], signature)
    return Edge(kind=EdgeKind.HEAD_OF, model=trunk.model, number=trunk.number, digest=trunk.digest, signature=name)


def _foresee(
    client: Operations,
    model: str,
    inspection: Inspection,
    lineage: tuple[Edge, ...],
    *,
    dry_run: bool,
    no_break: bool,
) -> Outlook | None:
    """What the push will mean for callers; None for a dry run without a hub to ask."""
    try:
        outlook = look_ahead(client, model, inspection, lineage)
    except (HubUnreachable, Unauthorized):
        if dry_run and not no_break:
            return None
        raise
    if no_break:
        require_no_break(model, outlook)
    return outlook


def _cut(root: Path, progress: ProgressSink) -> tuple[File, ...]:
    layout = read_layout(root)
    meter = Meter(progress, Stage.HASH, layout.size)
    return cut_files(root, {path: entry.size for path, entry in layout.files.items()}, meter.add)


def _draft(files: tuple[File, ...], lineage: tuple[Edge, ...], *, keeps_interface: bool) -> Draft:
    is_head = any(edge.kind is EdgeKind.HEAD_OF for edge in lineage)
    try:
        kind = Kind.HEAD if is_head else Kind.TRUNK
        return Draft(kind=kind, files=files, lineage=lineage, keeps_interface=keeps_interface)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InvalidModel(f"The files cannot be a version: {reason}.") from error


def _send(
    client: Operations, request: BeginPush, root: Path, progress: ProgressSink, pace: Pace
) -> tuple[Version, PushTicket, int]:
    """Send what the hub lacks; gives the version, the hub's first answer, and the bytes that had to be sent."""
    ticket = client.begin_push(request)
    if ticket.existing is not None:
        return ticket.existing, ticket, 0
    if ticket.push_id is None:
        raise NotAvailable("The hub opened no push and named no version.", remedy="Push again.")
    local = sources(root, request.draft.files)
    sent = _upload(client, ticket.push_id, {digest: local[digest] for digest in ticket.missing}, progress, pace)
    for _ in range(ATTEMPTS):
        progress(Progress(Stage.VALIDATE))
        try:
            return client.complete_push(ticket.push_id), ticket, sent
        except BlobsMissing as error:
            # The hub found that it does not have whole what it had thought to have.
            named = {*error.facts.get("digests", ()), *client.begin_push(request).missing}
            again = {digest: local[digest] for digest in named if digest in local}
            if not again:
                raise
            sent += _upload(client, ticket.push_id, again, progress, pace)
    raise NotAvailable("The hub keeps losing bytes of this push.", remedy="Ask who runs it to look at its storage.")


def _upload(client: Operations, push_id: UUID, wanted: Mapping[str, Source], progress: ProgressSink, pace: Pace) -> int:
    size = sum(source.size for source in wanted.values())
    places = Places(partial(client.push_places, push_id), wanted)
    Transfer(client.http, places, Meter(progress, Stage.UPLOAD, size), pace).upload_all(wanted)
    return size


def _verdict(client: Operations, version: Version, progress: ProgressSink) -> VersionDetail:
    progress(Progress(Stage.VALIDATE, note=version.reference))
    detail = client.version(version.model, version.number, wait_s=POLL_S)
    while detail.version.state is State.VALIDATING:
        detail = client.version(version.model, version.number, wait_s=POLL_S)
    if detail.version.state is State.REJECTED:
        raise _refused(f"{version.reference} was rejected", detail.report.errors(), detail.report)
    return detail
