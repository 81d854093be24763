"""What a push announced: its record, and what is held against what the hub has.

Law: what a client says is compared here, never believed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4, uuid5

from hub.domain.access import Principal, Scope
from hub.domain.errors import BlobNotFound, Conflict, InvalidRequest, ModelNotFound, QuotaExceeded
from hub.domain.manifest import Draft, Kind
from hub.domain.names import ModelName
from hub.protocol.schemas import BeginPush
from hub.savedmodel.bundle import Span
from hub.storage.catalog import Announced, PushRecord, Transaction, push_not_found

_KEYED_PUSHES = UUID("6f1f2c1e-8a55-4b7a-9d0e-2b6f0f3f7c11")  # pushes named by an Idempotency-Key


def announced(tx: Transaction, principal: Principal, push_id: UUID, digests: Sequence[str]) -> dict[str, int]:
    """The sizes that a push of the principal announced for blobs."""
    found = tx.announced(push_id, digests)
    absent = next((digest for digest in digests if digest not in found), None)
    push = tx.push(push_id) if absent is not None else None
    require_own(principal, push_id, push or found[digests[0]])
    if push is not None and push.completed is not None:
        raise Conflict(f"The push {push_id} is complete; it takes no more bytes.")
    if absent is not None:
        raise BlobNotFound(f"The push {push_id} announced no blob {absent[:80]}.")
    return {digest: found[digest].size for digest in digests}


def require_own(principal: Principal, push_id: UUID, push: PushRecord | Announced) -> None:
    """Refuse who did not begin a push, or may not push to its model any more.

    Raises:
        PushNotFound: It is somebody else's.
        Forbidden: Their role or token does not allow it.
    """
    if push.principal != principal.identity:
        raise push_not_found(push_id)
    principal.require(Scope.WRITE, str(push.model))


def had(tx: Transaction, principal: Principal, push_id: UUID, digests: Iterable[str]) -> set[str]:
    """Which of some blobs the caller has the bytes of, so that it may know that they are here and build on them.

    Who sees every model could read them all; others have what they can read, and what they sent to this push. Digests
    alone prove nothing: they are in manifests and logs, and without this one would give the bytes to who knows it.
    """
    if principal.view.is_whole:
        return set(digests)
    return tx.had_by(principal.view, push_id, digests)


def require_sizes(announced: Mapping[str, int], stored: Mapping[str, int | None]) -> None:
    """Refuse a draft that says of a stored blob that it has another size.

    Raises:
        InvalidRequest: It does.
    """
    for digest, size in stored.items():
        if size not in (None, announced[digest]):
            raise InvalidRequest(f"Blob {digest} has another size than the {announced[digest]} bytes announced.")


def require_room(tx: Transaction, push: PushRecord) -> None:
    """Refuse a push, whose blobs are leased, where its owner would keep more than it may.

    Raises:
        QuotaExceeded: It would.
    """
    owner = push.model.owner
    quota = tx.quota(owner)
    if quota is None or quota.limit_bytes is None:
        return
    total = quota.used_bytes + tx.under_way_bytes(owner)
    if total <= quota.limit_bytes:
        return
    others = quota.used_bytes + tx.under_way_bytes(owner, besides=push.id)
    if total > others:
        raise quota_exceeded(owner, quota.limit_bytes, others, total - others)


def quota_exceeded(owner: str, limit: int, used: int, needed: int) -> QuotaExceeded:
    """The error for a push that does not fit."""
    return QuotaExceeded(
        f"{owner} may keep {_mb(limit)} on this hub and keeps {_mb(used)}; this push adds {_mb(needed)}.",
        remedy="Remove versions that nobody needs, or ask who runs the hub for more: hub admin quota set.",
        limit_bytes=limit,
        used_bytes=used,
        push_bytes=needed,
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.3f} MB"


def known_digests(draft: Draft) -> dict[Span, str]:
    """What was hashed while the files were put together: a tensor that is a blob of its own has the blob's digest."""
    known: dict[Span, str] = {}
    for file in draft.files:
        offset = 0
        for blob in file.blobs:
            known[file.path, offset, blob.size] = blob.digest
            offset += blob.size
    return known


def check_model(tx: Transaction, name: ModelName, kind: Kind) -> None:
    """Refuse a push to a model of the other kind.

    Raises:
        Conflict: It is.
    """
    try:
        model = tx.model(name)
    except ModelNotFound:
        return
    if model.kind is not kind:
        raise Conflict(f"{name} is a {model.kind.value}, this is a {kind.value}.", remedy="Push it under another name.")


def record(principal: Principal, name: ModelName, request: BeginPush, idempotency_key: str | None) -> PushRecord:
    """The record of a push as it begins; with a key, always under the same id."""
    is_keyed = idempotency_key is not None
    return PushRecord(
        id=uuid5(_KEYED_PUSHES, f"{principal.identity}\0{idempotency_key}") if is_keyed else uuid4(),
        model=name,
        draft=request.draft,
        alias=request.alias,
        message=request.message,
        card=request.card,
        is_private=request.is_private,
        principal=principal.identity,
        created_at=datetime.now(UTC),
        completed=None,
        attestation=request.attestation,
    )


def same_push(tx: Transaction, push: PushRecord) -> PushRecord:
    """The push that was begun with the same key, if it is for the same thing."""
    before = tx.push(push.id)
    if replace(before, created_at=push.created_at, completed=None) != push:
        raise Conflict(
            "This Idempotency-Key was used for another push.", remedy="Send a key of its own with each push."
        )
    return before
