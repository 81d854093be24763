"""Queries about quotas: how much an owner may keep, and keeps.

What an owner keeps are the distinct blobs of the versions of its models. The sum is kept beside the limit, because a
push asks for it; whatever adds or removes a version's blobs does so inside `recounted`. Owners without a limit cost one
look-up.

Laws: the kept sum is what `used_bytes` counts; two transactions never recount one owner at the same time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, select, text, update

from hub.storage.catalog.queries import Queries
from hub.storage.catalog.tables import blobs, models, push_blobs, pushes, quotas, version_blobs

_STEP = 500


@dataclass(frozen=True, slots=True)
class QuotaRecord:
    """What an owner may keep (None: as much as there is room for), and keeps."""

    owner: str
    limit_bytes: int | None
    used_bytes: int


class QuotaQueries(Queries):
    """Quotas, by owner."""

    def quota(self, owner: str) -> QuotaRecord | None:
        """An owner's quota; a transaction that writes holds it until it ends. None where there is no limit."""
        query = select(quotas).where(quotas.c.owner == owner)
        row = self.connection.execute(query.with_for_update() if self.is_writing else query).one_or_none()
        return QuotaRecord(row.owner, row.limit_bytes, row.used_bytes) if row else None

    def set_quota(self, owner: str, limit_bytes: int | None) -> QuotaRecord:
        """Limit what an owner may keep, or end that, and count anew what it keeps."""
        if self.connection.dialect.name == "postgresql":
            # Whoever has looked for a quota in vain is waited for, so that what it adds is counted.
            self.connection.execute(text("LOCK TABLE quotas IN EXCLUSIVE MODE"))
        used = self.used_bytes(owner)
        self.connection.execute(delete(quotas).where(quotas.c.owner == owner))
        if limit_bytes is not None:
            row = {"owner": owner, "limit_bytes": limit_bytes, "used_bytes": used}
            self.connection.execute(quotas.insert().values(**row))
        return QuotaRecord(owner, limit_bytes, used)

    def all_quotas(self) -> list[QuotaRecord]:
        """Every owner that has models or a limit, with the sums as they are kept, or counted where none is."""
        known = {row.owner: row for row in self.connection.execute(select(quotas))}
        owners = sorted({*known, *self.connection.execute(select(models.c.owner).distinct()).scalars()})
        return [
            QuotaRecord(owner, known[owner].limit_bytes, known[owner].used_bytes)
            if owner in known
            else QuotaRecord(owner, None, self.used_bytes(owner))
            for owner in owners
        ]

    def used_bytes(self, owner: str) -> int:
        """What an owner keeps, counted."""
        mine = select(version_blobs.c.digest).where(_is_of(version_blobs.c.model, owner)).distinct().subquery()
        query = select(_sum(blobs.c.size)).select_from(blobs.join(mine, mine.c.digest == blobs.c.digest))
        return int(self.connection.execute(query).scalar_one())

    def under_way_bytes(self, owner: str, *, besides: UUID | None = None) -> int:
        """What pushes under way will add to what an owner keeps.

        Args:
            owner: The owner.
            besides: A push that is not counted.
        """
        joined = push_blobs.join(pushes, pushes.c.id == push_blobs.c.push_id)
        query = select(push_blobs.c.digest, push_blobs.c.size).select_from(joined).distinct()
        query = query.where(_is_of(pushes.c.model, owner), pushes.c.completed_number.is_(None))
        if besides is not None:
            query = query.where(pushes.c.id != besides)
        announced = query.subquery()
        new = select(_sum(announced.c.size)).where(~_is_kept(announced.c.digest, owner))
        return int(self.connection.execute(new).scalar_one())

    @contextmanager
    def recounted(self, owner: str, digests: Callable[[], Iterable[str]]) -> Iterator[None]:
        """Bring an owner's sum up to date with what happens inside.

        Args:
            owner: The owner.
            digests: Gives the blobs that may become the owner's, or cease to be.
        """
        if self.quota(owner) is None:
            yield
            return
        asked = sorted(set(digests()))
        before = self._kept_bytes(owner, asked)
        yield
        change = self._kept_bytes(owner, asked) - before
        counted = update(quotas).where(quotas.c.owner == owner)
        self.connection.execute(counted.values(used_bytes=quotas.c.used_bytes + change))

    def digests_of(self, model: str, number: int | None = None) -> Sequence[str]:
        """Digests of every blob of a version, or of all versions of a model."""
        query = select(version_blobs.c.digest).where(version_blobs.c.model == model).distinct()
        if number is not None:
            query = query.where(version_blobs.c.number == number)
        return list(self.connection.execute(query).scalars())

    def _kept_bytes(self, owner: str, digests: list[str]) -> int:
        total = 0
        for start in range(0, len(digests), _STEP):
            some = blobs.c.digest.in_(digests[start : start + _STEP])
            query = select(_sum(blobs.c.size)).where(some, _is_kept(blobs.c.digest, owner))
            total += int(self.connection.execute(query).scalar_one())
        return total


def _sum(size: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(size), 0)


def _is_of(model: ColumnElement[Any], owner: str) -> ColumnElement[bool]:
    # By a range, which an index can follow: "0" comes just after "/".
    return and_(model >= f"{owner}/", model < f"{owner}0")


def _is_kept(digest: ColumnElement[Any], owner: str) -> ColumnElement[bool]:
    return exists().where(version_blobs.c.digest == digest, _is_of(version_blobs.c.model, owner))
