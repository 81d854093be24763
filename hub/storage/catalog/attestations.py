"""Queries about keys and attestations.

Laws: a key is known by owner and fingerprint, and never forgotten: what it signed before it was revoked still says by
whom; an attestation goes with its version.
"""

import json

from sqlalchemy import ColumnElement, delete, select, update

from hub.domain.attestations import Attestation, PublicKey
from hub.domain.errors import Conflict
from hub.domain.names import ModelName
from hub.storage.catalog.queries import AnyRow, Queries, now
from hub.storage.catalog.tables import attestations, keys, signing_owners


class AttestationQueries(Queries):
    """Keys of owners, and what was signed with them."""

    def add_key(self, owner: str, key: PublicKey) -> None:
        """Register a key.

        Raises:
            Conflict: The owner has it already, or another one of that name.
        """
        if self.insert_if_absent(keys, key.model_dump() | {"owner": owner}):
            return
        known = [each for each in self.keys(owner) if each.fingerprint == key.fingerprint]
        if known:
            state = "revoked" if known[0].revoked_at else "registered"
            raise Conflict(f"This key is {state} for {owner} as {known[0].name!r}.", remedy="Make a new one.")
        raise Conflict(f"{owner} has another key called {key.name!r}.", remedy="Choose another name with --name.")

    def keys(self, owner: str) -> list[PublicKey]:
        """An owner's keys, oldest first."""
        query = select(keys).where(keys.c.owner == owner).order_by(keys.c.created_at, keys.c.fingerprint)
        return [_key(row) for row in self.connection.execute(query)]

    def key(self, owner: str, fingerprint: str) -> PublicKey | None:
        """One key of an owner; a transaction that writes holds it, so that it is not revoked meanwhile."""
        query = select(keys).where(_is(owner, fingerprint))
        row = self.connection.execute(query.with_for_update() if self.is_writing else query).one_or_none()
        return _key(row) if row else None

    def revoke_key(self, owner: str, fingerprint: str) -> bool:
        """Let a key vouch for nothing any more; False where it does not already."""
        works = update(keys).where(_is(owner, fingerprint), keys.c.revoked_at.is_(None))
        return self.connection.execute(works.values(revoked_at=now())).rowcount > 0

    def requires_signed(self, owner: str) -> bool:
        """Whether the owner takes signed pushes only."""
        query = select(signing_owners).where(signing_owners.c.owner == owner)
        return self.connection.execute(query).first() is not None

    def set_requires_signed(self, owner: str, is_required: bool) -> bool:
        """Say whether the owner takes signed pushes only; gives whether that changed anything."""
        if is_required:
            return self.insert_if_absent(signing_owners, {"owner": owner})
        return self.connection.execute(delete(signing_owners).where(signing_owners.c.owner == owner)).rowcount > 0

    def attest(self, name: ModelName, number: int, fingerprint: str, bundle: str, created_by: str) -> bool:
        """Keep an attestation that was checked; False where there is one by this key."""
        row = {"model": str(name), "number": number, "fingerprint": fingerprint, "bundle": bundle}
        return self.insert_if_absent(attestations, row | {"created_at": now(), "created_by": created_by})

    def attestations(self, name: ModelName, number: int) -> list[Attestation]:
        """A version's attestations, oldest first."""
        signed_with = (keys.c.owner == name.owner) & (keys.c.fingerprint == attestations.c.fingerprint)
        columns = attestations.c.bundle, attestations.c.created_at.label("taken_at"), attestations.c.created_by, keys
        query = select(*columns).join(keys, signed_with)
        query = query.where(attestations.c.model == str(name), attestations.c.number == number)
        return [
            Attestation(
                key=_key(row), created_at=row.taken_at, created_by=row.created_by, bundle=json.loads(row.bundle)
            )
            for row in self.connection.execute(query.order_by(attestations.c.created_at, attestations.c.fingerprint))
        ]


def _is(owner: str, fingerprint: str) -> ColumnElement[bool]:
    return (keys.c.owner == owner) & (keys.c.fingerprint == fingerprint)


def _key(row: AnyRow) -> PublicKey:
    return PublicKey(
        fingerprint=row.fingerprint, name=row.name, pem=row.pem, created_at=row.created_at, revoked_at=row.revoked_at
    )
