"""What can go wrong, by name. One class per thing that happened; the HTTP status is drawn beside each.

::

    HubError
    ├── Unauthorized              401  no or an unknown token
    ├── Forbidden                 403  known, but not allowed
    ├── NotFound                  404  also for what the caller may not see
    │   ├── ModelNotFound
    │   ├── VersionNotFound
    │   ├── SignatureNotFound
    │   ├── BlobNotFound
    │   ├── PushNotFound
    │   ├── TokenNotFound
    │   ├── KeyNotFound
    │   └── OwnerNotFound
    ├── TooSlow                   408  the request did not come in time
    ├── Conflict                  409  the state forbids it
    │   ├── BlobsMissing
    │   ├── VersionNotReady
    │   ├── VersionYanked
    │   ├── HasDependents
    │   ├── BreaksCallers
    │   ├── AliasLocked
    │   └── LastAdministrator
    ├── TooLarge                  413  more than a limit allows
    │   └── QuotaExceeded              the owner would keep more than it may
    ├── Invalid                   422  the content is wrong
    │   ├── InvalidName
    │   ├── InvalidRequest
    │   ├── InvalidTensor
    │   ├── InvalidModel
    │   ├── InvalidAttestation
    │   └── DigestMismatch
    ├── ModelFailed               422  the model itself failed on these inputs
    │   ├── OutputTooLarge
    │   └── Quarantined
    ├── Overloaded                429  try again after a while
    ├── BlobLost                  502  the store behind the hub lost bytes of a version
    ├── NotAvailable              503  something the hub needs is away; try again
    │   ├── StorageFull           507  a disk is full, of this machine or of the hub
    │   └── WorkerLost
    ├── DeadlineExceeded          504  the model took longer than the deadline
    └── ClientSide                     never sent by a hub
        ├── HubUnreachable             no answer from the hub
        ├── StoreUnreachable           no answer from the object store that the hub sent one to
        ├── StoreRefused               the object store did not take or give the bytes
        ├── TransferFailed             bytes did not arrive whole
        └── ExtraMissing               an optional package is not installed

Laws: every class has a stable ``code`` (its wire name) and a ``status``; the ``detail`` names the thing; a ``remedy``
says what to do, where there is something to do. ``hub.protocol.problems`` reads this table in both directions.
"""

from typing import Any, ClassVar


class HubError(Exception):
    """Base of everything the hub raises on purpose.

    Args:
        detail: One sentence that names the thing.
        remedy: What the reader can do about it.
        inside: What only the people who run the hub may read, such as a path or an address; it is never sent.
        facts: Machine-readable facts (JSON values).
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, *, remedy: str | None = None, inside: str | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy
        self.inside = inside
        self.facts = facts

    def __str__(self) -> str:
        return " ".join(part for part in (self.detail, self.inside, self.remedy) if part)


class Unauthorized(HubError):
    """No token, or one the hub does not know."""

    code, status = "unauthorized", 401


class Forbidden(HubError):
    """The principal is known but lacks the scope."""

    code, status = "forbidden", 403


class NotFound(HubError):
    """Nothing of that name that the caller may see."""

    code, status = "not-found", 404


class ModelNotFound(NotFound):
    """No such model."""

    code = "model-not-found"


class VersionNotFound(NotFound):
    """The model has no such version, alias or interface."""

    code = "version-not-found"


class SignatureNotFound(NotFound):
    """The version has no such signature."""

    code = "signature-not-found"


class BlobNotFound(NotFound):
    """No such bytes in the store."""

    code = "blob-not-found"


class PushNotFound(NotFound):
    """No such push."""

    code = "push-not-found"


class TokenNotFound(NotFound):
    """No such token."""

    code = "token-not-found"


class KeyNotFound(NotFound):
    """The owner has no such key."""

    code = "key-not-found"


class OwnerNotFound(NotFound):
    """No such user or organisation."""

    code = "owner-not-found"


class TooSlow(HubError):
    """The request did not come in time."""

    code, status = "too-slow", 408


class Conflict(HubError):
    """The present state forbids it."""

    code, status = "conflict", 409


class BlobsMissing(Conflict):
    """At least one announced blob is not stored."""

    code = "blobs-missing"


class VersionNotReady(Conflict):
    """The version is still validating, or was rejected."""

    code = "version-not-ready"


class VersionYanked(Conflict):
    """The version was withdrawn."""

    code = "version-yanked"


class HasDependents(Conflict):
    """Heads or derived versions still hang on it."""

    code = "has-dependents"


class BreaksCallers(Conflict):
    """The new version would break callers of the one before, and may not."""

    code = "breaks-callers"


class AliasLocked(Conflict):
    """The alias may not be moved."""

    code = "alias-locked"


class LastAdministrator(Conflict):
    """An organisation would have nobody left who administers it."""

    code = "last-administrator"


class TooLarge(HubError):
    """More than a limit allows."""

    code, status = "too-large", 413


class QuotaExceeded(TooLarge):
    """The owner of a model would keep more bytes than it may."""

    code = "quota-exceeded"


class Invalid(HubError):
    """The content of a request is wrong."""

    code, status = "invalid", 422


class InvalidName(Invalid):
    """A name, reference or digest is not well-formed."""

    code = "invalid-name"


class InvalidRequest(Invalid):
    """A request body or parameter does not have the documented form."""

    code = "invalid-request"


class InvalidTensor(Invalid):
    """A tensor does not fit the signature: wrong name, dtype, shape or bytes."""

    code = "invalid-tensor"


class InvalidModel(Invalid):
    """The pushed files are not a version the hub accepts."""

    code = "invalid-model"


class InvalidAttestation(Invalid):
    """An attestation is missing, is no proof, or is about something else."""

    code = "invalid-attestation"


class DigestMismatch(Invalid):
    """Bytes do not have the digest that was announced for them."""

    code = "digest-mismatch"


class ModelFailed(HubError):
    """The model raised while it computed; other inputs may work."""

    code, status = "model-failed", 422


class OutputTooLarge(ModelFailed):
    """What the model answers on these inputs is more than one answer may have."""

    code = "output-too-large"


class Quarantined(ModelFailed):
    """The model is not run for a while: workers kept dying of it."""

    code = "version-quarantined"


class Overloaded(HubError):
    """Too many requests wait already."""

    code, status = "overloaded", 429


class BlobLost(HubError):
    """The store behind the hub does not have bytes that a version needs; other versions are well."""

    code, status = "blob-lost", 502


class NotAvailable(HubError):
    """Something the hub needs is away for the moment."""

    code, status = "not-available", 503


class StorageFull(NotAvailable):
    """A disk is full; trying again helps once somebody has made room."""

    code, status = "storage-full", 507


class WorkerLost(NotAvailable):
    """The worker died while it computed; the request may be sent again."""

    code = "worker-lost"


class DeadlineExceeded(HubError):
    """The model took longer than the deadline."""

    code, status = "deadline-exceeded", 504


class ClientSide(HubError):
    """Raised by the client itself, never sent by a hub."""

    code, status = "client-side", 500


class HubUnreachable(ClientSide):
    """No answer from the hub."""

    code = "hub-unreachable"


class StoreUnreachable(ClientSide):
    """No answer from the object store that the hub sent one to."""

    code = "store-unreachable"


class StoreRefused(ClientSide):
    """The object store did not take or give the bytes; the URL may have expired."""

    code = "store-refused"


class TransferFailed(ClientSide):
    """Bytes did not arrive whole."""

    code = "transfer-failed"


class ExtraMissing(ClientSide):
    """An optional package is not installed."""

    code = "extra-missing"
