"""Queries about aliases.

Law: the last decision wins, not the last validation to end. A push decides when it is made; its alias moves when the
version is ready, unless somebody has decided otherwise in between.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select, update

from hub.domain.errors import VersionNotReady, VersionYanked
from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.storage.catalog.lookup import VersionLookup
from hub.storage.catalog.queries import now
from hub.storage.catalog.records import AliasMove
from hub.storage.catalog.tables import alias_moves, aliases, wanted_aliases


class AliasQueries(VersionLookup):
    """Aliases and their history."""

    def set_alias(self, name: ModelName, alias: str, number: int, by: str) -> AliasMove | None:
        """Make an alias mean a version, from now on.

        Returns:
            The move; None where it meant that version already.

        Raises:
            VersionNotFound: No such version.
            VersionNotReady: It is validating or was rejected.
            VersionYanked: It was withdrawn.
        """
        version = self.version(name, number)
        if version.state is State.YANKED:
            detail = f"{version.reference} was withdrawn: {version.yanked_reason}"
            raise VersionYanked(detail, remedy="Name a ready version.")
        if version.state is not State.READY:
            detail = f"{version.reference} is {version.state.value}; an alias names a ready version."
            raise VersionNotReady(detail, remedy="Wait for its validation, or name another version.")
        return self.move_alias(name, alias, number, by=by, decided_at=now())

    def want_alias(self, name: ModelName, number: int, alias: str, by: str) -> None:
        """Decide now that an alias moves to a version once that is ready."""
        self.connection.execute(delete(wanted_aliases).where(_wanted(name, number), wanted_aliases.c.alias == alias))
        row = {"model": str(name), "number": number, "alias": alias, "decided_at": now(), "decided_by": by}
        self.connection.execute(insert(wanted_aliases).values(**row))

    def move_wanted_aliases(self, name: ModelName, number: int) -> None:
        """Carry out what was decided for a version that has become ready."""
        query = select(wanted_aliases).where(_wanted(name, number)).order_by(wanted_aliases.c.alias)
        for row in self.connection.execute(query).all():
            self.move_alias(name, row.alias, number, by=row.decided_by, decided_at=row.decided_at)
        self.connection.execute(delete(wanted_aliases).where(_wanted(name, number)))

    def aliases(self, name: ModelName) -> dict[str, int]:
        """Version number by alias.

        Raises:
            ModelNotFound: No such model.
        """
        query = select(aliases.c.alias, aliases.c.number).where(aliases.c.model == str(name)).order_by(aliases.c.alias)
        found = dict(self.connection.execute(query).all())
        if not found:
            self.require_model(name)
        return found

    def alias_history(self, name: ModelName) -> list[AliasMove]:
        """Every move, newest first.

        Raises:
            ModelNotFound: No such model.
        """
        query = select(alias_moves).where(alias_moves.c.model == str(name)).order_by(alias_moves.c.id.desc())
        rows = self.connection.execute(query).all()
        if not rows:
            self.require_model(name)
        return [AliasMove(row.alias, row.number, row.previous, row.moved_at, row.moved_by) for row in rows]

    def wanted_aliases(self, name: ModelName, number: int) -> dict[str, str]:
        """Aliases that will move to a version once it is ready, and who decided that."""
        query = select(wanted_aliases.c.alias, wanted_aliases.c.decided_by).where(_wanted(name, number))
        return dict(self.connection.execute(query).all())

    def move_alias(
        self, name: ModelName, alias: str, number: int, *, by: str, decided_at: datetime
    ) -> AliasMove | None:
        """Move an alias unless a later decision stands; moving it to where it is leaves no history, and gives None."""
        key = (aliases.c.model == str(name)) & (aliases.c.alias == alias)
        row = {"model": str(name), "alias": alias, "number": number, "decided_at": decided_at}
        previous = None
        if not self.insert_if_absent(aliases, row):
            current = self.connection.execute(select(aliases).where(key).with_for_update()).one()
            if current.decided_at > decided_at:
                return None
            previous = current.number
            self.connection.execute(update(aliases).where(key).values(number=number, decided_at=decided_at))
        if previous == number:
            return None
        moved_at = now()
        move = {"model": str(name), "alias": alias, "number": number, "previous": previous}
        self.connection.execute(insert(alias_moves).values(**move, moved_at=moved_at, moved_by=by))
        return AliasMove(alias, number, previous, moved_at, by)


def _wanted(name: ModelName, number: int) -> ColumnElement[bool]:
    return (wanted_aliases.c.model == str(name)) & (wanted_aliases.c.number == number)
