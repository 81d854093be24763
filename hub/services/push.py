"""Push: begin, upload, complete.

1. ``begin`` says which blobs are missing, or which version already has this very content; what a push needs is leased
   to it from here on. The same push again goes on where it stopped.
2. ``places`` says where to send them: straight to the object store, by URLs that expire, or here, to ``upload``.
3. ``complete`` puts the files together in a snapshot, every byte of it verified, inspects it as the client did, writes
   the manifest the hub itself worked out, and inserts the version row last: ``validating``, or ``rejected`` with the
   reasons.

Laws: what the client says about its files is only ever compared, never believed; every step can be repeated; until the
row is there, nothing of a push can be seen, and a crash leaves at most bytes that a sweep finds; a stored blob that is
found damaged is asked for again. That bytes are here already is told, and believed of who announces them, only where
the caller has them (`hub.services.drafts.had`): others send them like any, and they are stored once all the same.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.errors import (
    BlobNotFound,
    BlobsMissing,
    DigestMismatch,
    InvalidRequest,
)
from hub.domain.manifest import Draft, Manifest
from hub.domain.names import LATEST, ModelName
from hub.domain.reports import Report
from hub.domain.signatures import Signature
from hub.domain.versions import State, Version
from hub.protocol import paths
from hub.protocol.schemas import BeginPush, BlobPlace, BlobPlaces, PushTicket
from hub.savedmodel.inspect import inspect
from hub.services.attesting import attest, require_attested
from hub.services.changes import describe, note_verdict, require, set_alias
from hub.services.drafts import (
    announced,
    check_model,
    had,
    known_digests,
    quota_exceeded,
    record,
    require_own,
    require_room,
    require_sizes,
    same_push,
)
from hub.services.heads import trunk_signature, with_fit
from hub.storage.blobs import BlobStore
from hub.storage.blobs.store import URL_LIFE_S, verified
from hub.storage.catalog import Catalog, PushRecord, QuotaRecord, Transaction
from hub.storage.snapshots import NewSnapshot, Snapshots

_SHOWN_MISSING = 20
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pushes:
    """The push use case. ``is_relayed`` where all bytes go through the hub, whatever the store could do."""

    catalog: Catalog
    blobs: BlobStore
    snapshots: Snapshots
    is_relayed: bool = False

    def begin(self, principal: Principal, request: BeginPush, *, idempotency_key: str | None = None) -> PushTicket:
        """Open a push, go on with one, or name the version that has this content already.

        Args:
            principal: Who pushes.
            request: What is pushed.
            idempotency_key: The same one again means the same push.

        Raises:
            Conflict: The model exists and is of the other kind, or the key was used for another push.
            InvalidAttestation: The attestation is no proof, or is missing where the owner wants one.
            InvalidModel: The trunk a head hangs on is not here, or cannot be built on.
            QuotaExceeded: The model's owner would keep more than it may.
        """
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_PUSH, request.model, where=request.model)
        if request.alias == LATEST:
            raise InvalidRequest("latest always means the newest ready version.", remedy="Push without an alias.")
        name = ModelName.parse(request.model)
        push = record(principal, name, request, idempotency_key)
        sizes = push.draft.blobs()
        with self.catalog.begin() as tx:
            check_model(tx, name, request.draft.kind)
            require_attested(tx, name, request.draft, request.attestation)
            trunk_signature(tx, principal, request.draft)
            existing = tx.version_by_content(name, request.draft.content_digest())
            known = tx.stored(had(tx, principal, push.id, sizes))
            require_sizes(sizes, known)
            if existing is not None and len(known) == len(sizes):
                return PushTicket(existing=_apply(tx, existing, request, principal))
            resumed = None if idempotency_key else tx.resume_push(push)
            if resumed is None and not tx.add_push(push):
                before = same_push(tx, push)
                if before.completed is not None:
                    return PushTicket(existing=tx.resolve(before.completed))
                resumed = before.id
            push = replace(push, id=resumed or push.id)
            stored = tx.lease_blobs(push.id, sizes)
            require_room(tx, push)
            going = tx.being_deleted(sizes)
            theirs = had(tx, principal, push.id, sizes)
        absent = [digest for digest in sizes if digest not in stored & theirs and digest not in going]
        missing = {*going, *self._not_here(push.id, absent, theirs, is_new=resumed is None)}
        return PushTicket(push_id=push.id, missing=tuple(digest for digest in sizes if digest in missing))

    def places(self, principal: Principal, push_id: UUID, digests: Sequence[str], *, relayed: bool) -> BlobPlaces:
        """Where to PUT the bytes of some blobs of a push.

        Args:
            principal: Who pushes.
            push_id: The push.
            digests: Some that it announced.
            relayed: Whether the bytes shall go through the hub, for those who do not reach the store.

        Raises:
            PushNotFound: No such push of the caller.
            BlobNotFound: The push announced no such blob.
        """
        self._require(principal, push_id)
        with self.catalog.read() as tx:
            sizes = announced(tx, principal, push_id, digests)
        direct = None if relayed or self.is_relayed else self.blobs.direct
        if direct is None:
            return BlobPlaces(items=tuple(BlobPlace(digest=key, url=paths.push_blob(push_id, key)) for key in sizes))
        items = tuple(BlobPlace(digest=key, url=direct.put_url(push_id, key, size)) for key, size in sizes.items())
        return BlobPlaces(items=items, expires_in_s=URL_LIFE_S)

    def upload(
        self, principal: Principal, push_id: UUID, digest: str, chunks: Iterable[bytes], size: int | None
    ) -> None:
        """Take the bytes of one blob; taking them again changes nothing.

        Args:
            principal: Who pushes.
            push_id: The push.
            digest: One that the push announced.
            chunks: The bytes.
            size: How many there will be, as the transport says; None where it does not.

        Raises:
            PushNotFound: No such push of the caller.
            BlobNotFound: The push announced no such blob.
            InvalidRequest: It announced another size.
            DigestMismatch: The bytes are not those of the digest.
            NotAvailable: The very bytes are being swept away at this moment.
        """
        self._require(principal, push_id)
        with self.catalog.read() as tx:
            wanted = announced(tx, principal, push_id, [digest])[digest]
            tx.require_not_deleting([digest])
            is_theirs = digest in had(tx, principal, push_id, [digest])
        if size not in (None, wanted):
            raise InvalidRequest(
                f"Blob {digest} was announced with {wanted} bytes, {size} are coming.", announced=wanted, got=size
            )
        if is_theirs:
            self.blobs.put(digest, chunks, wanted)
            return
        checked = verified(digest, chunks, wanted)
        self.blobs.put(digest, checked, wanted)
        for _ in checked:  # the store reads nothing where it has the bytes, but who sends must have them too
            pass
        with self.catalog.begin() as tx:
            tx.note_sent(push_id, digest)

    def complete(self, principal: Principal, push_id: UUID) -> Version:
        """Publish the version; completing again answers with the same one.

        Raises:
            PushNotFound: No such push of the caller.
            BlobsMissing: At least one announced blob is not stored, or was found damaged.
            DigestMismatch: What was sent for a blob is something else, or the blobs of a file do not make up the file.
            InvalidModel: The trunk a head hangs on is gone.
            InvalidAttestation: The key it was signed with was revoked meanwhile, or signing is wanted by now.
            QuotaExceeded: The model's owner would keep more than it may now.
            NotAvailable: Some of the bytes are being swept away at this moment.
        """
        push = self._push(principal, push_id)
        sizes = push.draft.blobs()
        with self.catalog.read() as tx:
            if push.completed is not None:
                return tx.resolve(push.completed)
            tx.require_not_deleting(sizes)
            theirs = had(tx, principal, push_id, sizes)
            stored = tx.stored(theirs)
            require_sizes(sizes, stored)
            trunk = trunk_signature(tx, principal, push.draft)
        missing = self._not_here(push_id, [key for key in sizes if key not in stored], theirs, is_new=False)
        if missing:
            shown = [digest for digest in sizes if digest in missing][:_SHOWN_MISSING]
            raise BlobsMissing(f"{len(missing)} announced blobs are not stored.", digests=shown)
        arrived = self._arrived(push_id)
        taken = {key: size for key, size in sizes.items() if key in arrived and key not in stored}
        with self.snapshots.making() as made:
            self._fill(made, push, taken)
            manifest, report = _inspected(push.draft, made, trunk)
            self._put_manifest(push_id, manifest)
            version = self._publish(principal, push, manifest, report)
            if report.is_accepted:
                made.keep(manifest.digest())
        if self.blobs.direct is not None:
            self.blobs.direct.forget(push_id)
        return version

    def _require(self, principal: Principal, push_id: UUID) -> None:
        """Refuse who may push nowhere; whether they may push to this model is asked when it is known which it is."""
        where = principal.limit or principal.user
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_PUSH, str(push_id), where=where)

    def _push(self, principal: Principal, push_id: UUID) -> PushRecord:
        self._require(principal, push_id)
        with self.catalog.read() as tx:
            push = tx.push(push_id)
        require_own(principal, push_id, push)
        return push

    def _arrived(self, push_id: UUID) -> dict[str, int]:
        return self.blobs.direct.arrived(push_id) if self.blobs.direct is not None else {}

    def _not_here(self, push_id: UUID, absent: list[str], theirs: set[str], *, is_new: bool) -> set[str]:
        """Which of the blobs that the catalog does not know, or the caller has not, were not sent before either."""
        if is_new and self.blobs.direct is not None:
            return {*absent}  # asking an object store for each would take longer than it could save
        arrived = self._arrived(push_id)
        unsent = [digest for digest in absent if digest not in arrived]
        return {*self.blobs.missing(unsent)} | {digest for digest in unsent if digest not in theirs}

    def _fill(self, made: NewSnapshot, push: PushRecord, taken: dict[str, int]) -> None:
        def open_blob(digest: str) -> Iterator[bytes]:
            if digest in taken and self.blobs.direct is not None:
                return self.blobs.direct.take(push.id, digest, taken[digest])
            return self.blobs.open(digest)

        try:
            made.fill(push.draft.files, open_blob)
        except (BlobNotFound, DigestMismatch) as error:
            digest = error.facts.get("digest")
            if digest is None or digest in taken or self._is_whole(digest):
                raise
            _log.error("blob.damaged", digest=digest, reason=error.detail)
            with self.catalog.begin() as tx:
                is_news = tx.note_lost(digest) or not tx.stored([digest])
            if is_news:
                self.blobs.delete(digest)
            raise BlobsMissing("A stored blob was found damaged.", digests=[digest]) from error

    def _is_whole(self, digest: str) -> bool:
        """Whether a stored blob has its digest: what a client says of it must not make it be thought damaged."""
        hashed = hashlib.sha256()
        try:
            for chunk in self.blobs.open(digest):
                hashed.update(chunk)
        except BlobNotFound:
            return False
        return f"sha256:{hashed.hexdigest()}" == digest

    def _put_manifest(self, push_id: UUID, manifest: Manifest) -> None:
        canonical = manifest.canonical()
        digest = manifest.digest()
        with self.catalog.begin() as tx:
            tx.lease_blobs(push_id, {digest: len(canonical)})
            tx.require_not_deleting([digest])
        self.blobs.put(digest, [canonical], len(canonical))

    def _publish(self, principal: Principal, push: PushRecord, manifest: Manifest, report: Report) -> Version:
        content = push.draft.content_digest()
        digest = manifest.digest()
        with self.catalog.begin() as tx:
            push = tx.push(push.id)  # as it is now: it may have been begun again, with another alias or hidden
            if push.completed is not None:
                return tx.resolve(push.completed)
            _ensure_model(tx, principal, push)
            trunk_signature(tx, principal, push.draft)
            tx.note_stored(push.draft.blobs() | {digest: len(manifest.canonical())})
            version = tx.version_by_content(push.model, content)
            is_new = version is None
            before = tx.quota(push.model.owner)
            version = version or tx.add_version(
                push.model,
                manifest,
                digest=digest,
                content_digest=content,
                report=report,
                state=State.VALIDATING if report.is_accepted else State.REJECTED,
                created_by=principal.name,
                message=push.message,
                alias=push.alias,
            )
            if is_new:
                _require_quota(tx, before)
                facts = {"digest": digest, "size": manifest.size, "alias": push.alias, "push": str(push.id)}
                tx.note(principal, Action.VERSION_PUSH, version.reference, facts)
                note_verdict(tx, version, report)
            attest(tx, principal, version, push.draft, push.attestation)
            describe(tx, principal, push.model, push.card, push.is_private)
            tx.complete_push(push.id, version.number)
            return version


def _require_quota(tx: Transaction, before: QuotaRecord | None) -> None:
    """Refuse what was added to an owner's bytes where that is too much."""
    after = tx.quota(before.owner) if before is not None else None
    if before is None or after is None or after.limit_bytes is None:
        return
    if max(after.limit_bytes, before.used_bytes) < after.used_bytes:
        added = after.used_bytes - before.used_bytes
        raise quota_exceeded(after.owner, after.limit_bytes, before.used_bytes, added)


def _ensure_model(tx: Transaction, principal: Principal, push: PushRecord) -> None:
    kind, is_private = push.draft.kind, push.is_private is True
    if tx.ensure_model(push.model, kind, is_private=is_private, created_by=principal.name):
        tx.note(principal, Action.MODEL_CREATE, str(push.model), {"kind": kind.value, "is_private": is_private})


def _inspected(draft: Draft, made: NewSnapshot, trunk: Signature | None) -> tuple[Manifest, Report]:
    seen = inspect(made.folder, with_tensors=True, known_digests=known_digests(draft))
    manifest = Manifest(
        kind=draft.kind,
        files=tuple(sorted(draft.files, key=lambda file: file.path)),
        signatures=seen.signatures,
        tuning_face=seen.tuning_face,
        tensors=seen.tensors,
        lineage=draft.lineage,
        tensorflow_version=seen.tensorflow_version,
        loader=seen.loader,
    )
    return manifest, with_fit(seen.report, trunk, seen.signatures)


def _apply(tx: Transaction, existing: Version, request: BeginPush, principal: Principal) -> Version:
    """Do what a repeated push still asks for beside the content: sign it, move the alias, change card and privacy."""
    name = ModelName.parse(existing.model)
    attest(tx, principal, existing, request.draft, request.attestation)
    describe(tx, principal, name, request.card, request.is_private)
    if request.alias is not None and existing.state is State.READY:
        set_alias(tx, principal, name, request.alias, existing.number)
    elif request.alias is not None:
        tx.want_alias(name, existing.number, request.alias, principal.name)
    return tx.version(name, existing.number)
