"""Bodies of the hub's own REST API that are not nouns themselves.

Law: a body is checked here once; unknown fields are refused in what the hub reads, and ignored by its client.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from hub.domain.access import Scope, Token
from hub.domain.attestations import MAX_BUNDLE_CHARS
from hub.domain.audit import AuditEntry
from hub.domain.digests import Digest
from hub.domain.lineage import Edge
from hub.domain.manifest import Draft
from hub.domain.names import MAX_NUMBER, AliasText, LimitText, ModelNameText, PlainText
from hub.domain.reports import Report
from hub.domain.signatures import Signature, TuningFace
from hub.domain.versions import Model, Version
from hub.protocol.curves import HeadlineMetric

MAX_MESSAGE_CHARS = 2_000
MAX_CARD_CHARS = 200_000
MAX_PLACES = 256


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BeginPush(_Request):
    """Opens a push. ``card`` (Markdown) and ``is_private`` change the model only where they are given.

    ``attestation`` is the text of a bundle, see ``hub.protocol.attestations``.
    """

    model: ModelNameText
    draft: Draft
    alias: AliasText | None = None
    message: Annotated[PlainText, Field(max_length=MAX_MESSAGE_CHARS)] = ""
    card: Annotated[PlainText, Field(max_length=MAX_CARD_CHARS)] | None = None
    is_private: bool | None = None
    attestation: Annotated[PlainText, Field(max_length=MAX_BUNDLE_CHARS)] | None = None


class PushTicket(_Answer):
    """Answer to :class:`BeginPush`.

    ``missing`` are the digests whose bytes the hub lacks. ``existing`` is set when the model already has this very
    content; then there is nothing to send or complete.
    """

    push_id: UUID | None = None
    missing: tuple[Digest, ...] = ()
    existing: Version | None = None


class AskPlaces(_Request):
    """Asks where blobs are to be sent or had; ``is_relayed`` where the object store cannot be reached."""

    digests: Annotated[tuple[Digest, ...], Field(min_length=1, max_length=MAX_PLACES)]
    is_relayed: bool = False


class BlobPlace(_Answer):
    """Where one blob's bytes are PUT or had: a path of the hub, or a URL of the object store (no token goes there)."""

    digest: Digest
    url: str


class BlobPlaces(_Answer):
    """Answer to :class:`AskPlaces`, in the order asked; ``expires_in_s`` None where the places stay."""

    items: tuple[BlobPlace, ...]
    expires_in_s: int | None = None


class SweepReport(_Answer):
    """What a sweep did.

    Attributes:
        pushes: Pushes under way that were given up for their age.
        condemned: Blobs that nobody needs, marked now.
        found: Objects of the store that the catalog did not know, marked now.
        deleted: Blobs deleted, marked a grace time ago.
        freed_bytes: Their bytes, as far as they were known.
        lost: Blobs that versions or pushes need and that are not in the store.
        is_dry: Nothing was done; ``condemned`` and ``freed_bytes`` are of all that nobody needs.
    """

    pushes: int = 0
    condemned: int = 0
    found: int = 0
    deleted: int = 0
    freed_bytes: int = 0
    lost: tuple[Digest, ...] = ()
    is_dry: bool = False


class WhoAmI(_Answer):
    """Who the hub thinks is asking.

    Attributes:
        name: As it is shown.
        scope: At most what they may do.
        is_anonymous: Whether it is nobody in particular.
        user: The user it is; None for one of the hub's own tokens.
        roles: What they may do with which owner; None for every owner.
        limit: The one owner or model that the token is limited to.
        hub_version: The hub's.
    """

    name: str
    scope: Scope | None
    is_anonymous: bool
    user: str | None = None
    roles: dict[str, Scope] | None = None
    limit: str | None = None
    hub_version: str


class ModelPage(_Answer):
    """Models; pass ``next`` as ``after`` for more, in the same order."""

    items: tuple[Model, ...]
    next: str | None = None


class ValueCount(_Answer):
    """A value of a facet, and how many models have it."""

    value: str
    models: int


class FacetCounts(_Answer):
    """How many models are found, and by what they could be narrowed: the commonest values of each facet."""

    total: int
    facets: dict[str, tuple[ValueCount, ...]]


class VersionPage(_Answer):
    """Versions, newest first; pass ``next`` as ``before`` for more.

    ``metric`` is what the curves of the newest of them that has any are best summed up by; None where none has.
    """

    items: tuple[Version, ...]
    next: int | None = None
    metric: HeadlineMetric | None = None


class VersionDetail(_Answer):
    """One version with what is known of it.

    ``signatures`` are those it answers to: for a head, on its trunk's input. ``lineage`` has the edges whose other end
    the caller may know of, ``hidden_parents`` is how many more there are. ``previous`` and ``next`` are the numbers of
    the versions before and after it, where there are any.
    """

    version: Version
    report: Report
    signatures: dict[str, Signature]
    tuning_face: TuningFace | None
    lineage: tuple[Edge, ...]
    loader: str
    file_count: int
    hidden_parents: int = 0
    previous: int | None = None
    next: int | None = None


class SetAlias(_Request):
    """Moves an alias."""

    number: Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER)]


class AliasMove(_Answer):
    """One step in an alias' history; ``number`` None where it was removed."""

    alias: str
    number: int | None
    moved_at: datetime
    moved_by: str


class AliasList(_Answer):
    """A model's aliases now, and how they came to be (newest first)."""

    aliases: dict[str, int]
    history: tuple[AliasMove, ...]


class Yank(_Request):
    """Withdraws a version, with a reason people will read."""

    reason: Annotated[PlainText, Field(min_length=1, max_length=MAX_MESSAGE_CHARS)]


class LineageNode(_Answer):
    """A version at the other end of an edge; ``version`` None where it is not (or no longer) in this hub."""

    edge: Edge
    version: Version | None


class Lineage(_Answer):
    """Both directions of a version's lineage; private versions are counted for who may not see them."""

    version: Version
    parents: tuple[LineageNode, ...]
    children: tuple[LineageNode, ...]
    hidden_children: int = 0
    hidden_parents: int = 0


class CreateToken(_Request):
    """Asks for a token.

    Attributes:
        name: What it is for; shown wherever one of the hub's own was used.
        scope: At most what it may do.
        limit: The one owner or model (``owner/name``) that it may change and whose private models it sees.
        is_service: Whether it is one of the hub's own, where a user asks who is an administrator; it is no user's then.
        expires_in_s: None means that it does not expire.
    """

    name: Annotated[PlainText, Field(min_length=1, max_length=100)]
    scope: Scope
    limit: LimitText | None = None
    is_service: bool = False
    expires_in_s: Annotated[int, Field(ge=60, le=10 * 366 * 86_400)] | None = None


class CreatedToken(_Answer):
    """A new token with its secret, which is never shown again."""

    token: Token
    secret: str


class TokenList(_Answer):
    """All tokens, without their secrets."""

    items: tuple[Token, ...]


class AuditPage(_Answer):
    """Entries of the audit, newest first; pass ``next`` as ``before`` for more."""

    items: tuple[AuditEntry, ...]
    next: int | None = None


class SignatureCall(_Answer):
    """How a worker calls a signature, found out by measuring.

    ``way``: ``plain`` is the signature's own function, ``frozen`` the same with its variables as constants,
    ``frozen_session`` and ``frozen_inline`` that in a session, ``session`` and ``session_inline`` the version in one,
    where a table cannot be frozen, ``compiled`` through XLA. ``ratios`` are times as shares of the plain way's. Where
    rows are independent requests are batched, ``best_rows`` at a time; where that is 0, as many as there may be.
    """

    way: str
    has_independent_rows: bool
    best_rows: int
    ratios: dict[str, float]


class LoadedVersion(_Answer):
    """A version that a worker holds in memory, and how it calls those signatures that it has measured.

    ``reference`` is None where it is gone; ``digest`` is None too where it is not to be seen.
    """

    digest: str | None
    reference: str | None = None
    size_bytes: int
    calls: dict[str, SignatureCall] = {}


class WorkerState(_Answer):
    """One worker process."""

    device: str
    pid: int | None
    state: str
    loaded: tuple[LoadedVersion, ...]
    in_flight: int
    restarts: int


class QuarantinedVersion(_Answer):
    """A version that is not run for so many seconds more; ``digest`` and ``reference`` are None where unseen."""

    digest: str | None
    reference: str | None
    left_s: float


class WorkerList(_Answer):
    """All workers of the engine, and the versions that they do not run because they kept dying of them."""

    items: tuple[WorkerState, ...]
    quarantined: tuple[QuarantinedVersion, ...] = ()


class Check(_Answer):
    """One thing that must work, whether it does, and what to do when not."""

    name: str
    ok: bool
    detail: str = ""
    remedy: str = ""


class HubStatus(_Answer):
    """What ``/readyz`` and ``hub admin doctor`` answer."""

    ok: bool
    checks: tuple[Check, ...]
