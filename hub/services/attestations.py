"""Attestations: the keys that an owner's pushes are signed with, and who signed what.

Laws: the hub signs nothing, and never sees a private key; a revoked key vouches for nothing from that moment on, also
not for what it signed before; an owner none of whose models the caller may see is like one that is not there.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from hub.domain.access import Principal, Scope
from hub.domain.attestations import PublicKey
from hub.domain.audit import Action
from hub.domain.errors import InvalidRequest, KeyNotFound, NotFound
from hub.domain.names import ModelName
from hub.protocol.attestations import AttestationList, KeyList
from hub.protocol.search import ModelQuery
from hub.protocol.signing import normal_key
from hub.services.changes import require
from hub.storage.catalog import Catalog

MAX_NAME_CHARS = 60


@dataclass(frozen=True, slots=True)
class Attestations:
    """The attestation use cases."""

    catalog: Catalog

    def keys(self, principal: Principal, owner: str) -> KeyList:
        """An owner's keys, revoked ones too.

        Raises:
            NotFound: No such owner that the caller may see.
        """
        principal.require(Scope.READ)
        _require_owner(owner)
        with self.catalog.read() as tx:
            found, is_required = tx.keys(owner), tx.requires_signed(owner)
            is_known = principal.may(Scope.READ, owner) and (found or is_required)
            if not is_known and not tx.models(ModelQuery(owner=owner), view=principal.view, limit=1):
                raise NotFound(f"There is no owner {owner}.", remedy="List what there is with 'hub ls'.")
        return KeyList(owner=owner, requires_signed=is_required, items=tuple(found))

    def of(self, principal: Principal, name: str, number: int) -> AttestationList:
        """Who stands for a version, also by keys that were revoked since.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            tx.version(model, number, principal.view)
            return AttestationList(items=tuple(tx.attestations(model, number)))

    def add_key(self, principal: Principal, owner: str, name: str, pem: str) -> PublicKey:
        """Register a public key for an owner, whose pushes may be signed with it from now on.

        Raises:
            InvalidRequest: It is no public EC P-256 key in PEM form, or the name is not printable or too long.
            Conflict: The owner has this key, or another one of that name.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.KEY_ADD, owner, where=owner)
        _require_owner(owner)
        if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
            raise InvalidRequest(f"A key's name has 1 to {MAX_NAME_CHARS} printable characters.", remedy="Use --name.")
        text, fingerprint = normal_key(pem)
        key = PublicKey(fingerprint=fingerprint, name=name, pem=text, created_at=datetime.now(UTC))
        with self.catalog.begin() as tx:
            tx.add_key(owner, key)
            tx.note(principal, Action.KEY_ADD, owner, _facts(key))
        return key

    def revoke_key(self, principal: Principal, owner: str, key: str) -> PublicKey:
        """Let a key vouch for nothing any more.

        Args:
            principal: Who asks.
            owner: Whose key it is.
            key: Its name or its fingerprint.

        Raises:
            KeyNotFound: The owner has no such key.
        """
        require(self.catalog, principal, Scope.ADMIN, Action.KEY_REVOKE, owner, where=owner)
        with self.catalog.begin() as tx:
            found = next((each for each in tx.keys(owner) if key in (each.name, each.fingerprint)), None)
            if found is None:
                remedy = f"List its keys with: hub admin key ls {owner}"
                raise KeyNotFound(f"{owner} has no key {key[:80]!r}.", remedy=remedy)
            if tx.revoke_key(owner, found.fingerprint):
                tx.note(principal, Action.KEY_REVOKE, owner, _facts(found))
        return found

    def require_signed(self, principal: Principal, owner: str, is_required: bool) -> None:
        """Say whether pushes to an owner's models must be signed."""
        require(self.catalog, principal, Scope.ADMIN, Action.KEY_REQUIRE, owner, where=owner)
        _require_owner(owner)
        with self.catalog.begin() as tx:
            if tx.set_requires_signed(owner, is_required):
                tx.note(principal, Action.KEY_REQUIRE, owner, {"is_required": is_required})


def _require_owner(owner: str) -> None:
    """Refuse what can own no model.

    Raises:
        InvalidName: It cannot.
    """
    ModelName.parse(f"{owner}/x")


def _facts(key: PublicKey) -> dict[str, str]:
    return {"key": key.name, "fingerprint": key.fingerprint}
