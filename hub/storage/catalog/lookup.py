"""Queries that find versions.

Laws: a name alone, ``latest`` and ``~interface`` find only ready versions; an alias that names a version that is not
ready any more is an error and says why; a number or a digest finds a version in any state.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select

from hub.domain.access import WHOLE, View
from hub.domain.errors import VersionNotFound, VersionYanked
from hub.domain.manifest import Kind, Manifest
from hub.domain.names import ModelName, Reference
from hub.domain.versions import State, Version
from hub.storage.catalog.models import model_not_found
from hub.storage.catalog.queries import AnyRow, Queries
from hub.storage.catalog.records import VersionRecord
from hub.storage.catalog.tables import aliases, models, versions
from hub.storage.catalog.views import shown

_NAMED = (
    select(func.aggregate_strings(aliases.c.alias, ","))  # which no alias has in it
    .where(aliases.c.model == versions.c.model, aliases.c.number == versions.c.number)
    .correlate(versions)
    .scalar_subquery()
    .label("named")
)
_LISTED = [*(column for column in versions.c if column.name not in ("manifest", "report")), _NAMED]
_LIVE = (State.VALIDATING.value, State.READY.value)


class VersionLookup(Queries):
    """Finding versions, by every name they have."""

    def version(self, name: ModelName, number: int, view: View = WHOLE) -> Version:
        """A version by number, in any state.

        Args:
            name: The model.
            number: The version.
            view: For whom it must exist.

        Raises:
            ModelNotFound: No such model.
            VersionNotFound: The model has no such version.
        """
        found = self._find(_is(name, number, view), limit=1)
        if found:
            return found[0]
        raise self._no_version(name, number, view)

    def resolve(self, ref: Reference) -> Version:
        """The version that a reference means now.

        Raises:
            ModelNotFound: No such model.
            VersionNotFound: The model has no such version, alias or interface, or none is ready.
            VersionYanked: The alias names a version that was withdrawn.
        """
        if ref.number is not None:
            return self.version(ref.model, ref.number)
        if ref.alias is not None:
            return self._by_alias(ref.model, ref.alias)
        if ref.digest is not None:
            wanted, missing = versions.c.digest == ref.digest, f"{ref.model} has no version with digest {ref.digest}."
        elif ref.interface is not None:
            wanted = _is_ready() & (versions.c.interface == ref.interface)
            missing = f"{ref.model} has no ready version with interface {ref.interface}."
        else:
            wanted, missing = _is_ready(), f"{ref.model} has no ready version."
        found = self._find(_of(ref.model) & wanted, limit=1, ready_first=ref.digest is not None)
        if found:
            return found[0]
        self.require_model(ref.model)
        raise _version_not_found(missing, ref.model)

    def versions(self, name: ModelName, *, before: int | None = None, limit: int) -> list[Version]:
        """A page of a model's versions, newest first.

        Args:
            name: The model.
            before: The last number of the page before.
            limit: How many at most.

        Raises:
            ModelNotFound: No such model.
        """
        wanted = _of(name) if before is None else _of(name) & (versions.c.number < before)
        found = self._find(wanted, limit=limit)
        if not found:
            self.require_model(name)
        return found

    def neighbours(self, name: ModelName, number: int) -> tuple[int | None, int | None]:
        """The numbers before and after a version's, of those that are still there."""
        before = select(func.max(versions.c.number)).where(_of(name), versions.c.number < number).scalar_subquery()
        after = select(func.min(versions.c.number)).where(_of(name), versions.c.number > number).scalar_subquery()
        previous, following = self.connection.execute(select(before, after)).one()
        return previous, following

    def version_by_content(self, name: ModelName, content_digest: str) -> Version | None:
        """The newest version of a model with this content that is validating or ready."""
        wanted = _of(name) & (versions.c.content_digest == content_digest) & versions.c.state.in_(_LIVE)
        found = self._find(wanted, limit=1)
        return found[0] if found else None

    def version_by_digest(self, digest: str) -> list[Version]:
        """Every version with this digest, in any model and state."""
        return self._find(versions.c.digest == digest, ready_first=True)

    def golden_digest(self, digest: str) -> str | None:
        """The blob with the golden samples of a version, by the version's digest; None where it has none."""
        query = select(versions.c.golden_digest).where(
            (versions.c.digest == digest) & versions.c.golden_digest.is_not(None)
        )
        return self.connection.execute(query.limit(1)).scalar()

    def record(self, name: ModelName, number: int, view: View = WHOLE) -> VersionRecord:
        """Everything known of a version, like `version`.

        Raises:
            ModelNotFound: No such model.
            VersionNotFound: The model has no such version.
        """
        query = select(*_LISTED, versions.c.manifest, versions.c.report).where(_is(name, number, view))
        row = self.connection.execute(query).one_or_none()
        if row is None:
            raise self._no_version(name, number, view)
        manifest = Manifest.parse(row.manifest)
        return VersionRecord(_version(row), manifest, row.report, row.content_digest, row.golden_digest)

    def manifest_by_digest(self, digest: str) -> Manifest | None:
        """The manifest with this digest, whichever versions have it."""
        query = select(versions.c.manifest).where(versions.c.digest == digest).limit(1)
        row = self.connection.execute(query).one_or_none()
        return None if row is None else Manifest.parse(row.manifest)

    def references(self, digests: Collection[str], view: View) -> dict[str, str]:
        """A name of each digest that a version has which exists for a view; of a ready one, where there is one."""
        query = select(versions.c.digest, versions.c.model, versions.c.number).join(models)
        query = query.where(versions.c.digest.in_(list(digests)), shown(view))
        order = (case((_is_ready(), 1), else_=0), versions.c.model.desc(), versions.c.number)
        rows = self.connection.execute(query.order_by(*order)) if digests else ()
        return {row.digest: f"{row.model}@{row.number}" for row in rows}

    def validating(self) -> list[Version]:
        """Versions whose validation has not ended, oldest first: what a start resumes."""
        found = self._find(versions.c.state == State.VALIDATING.value)
        return sorted(found, key=lambda version: version.created_at)

    def require_model(self, name: ModelName, view: View = WHOLE) -> None:
        """Raise unless the model exists for a view.

        Raises:
            ModelNotFound: No such model.
        """
        query = select(models.c.name).where(models.c.name == str(name), shown(view))
        if self.connection.execute(query).one_or_none() is None:
            raise model_not_found(name)

    def _no_version(self, name: ModelName, number: int, view: View) -> VersionNotFound:
        self.require_model(name, view)
        return _version_not_found(f"{name} has no version {number}.", name)

    def _by_alias(self, name: ModelName, alias: str) -> Version:
        query = select(aliases.c.number).where(aliases.c.model == str(name), aliases.c.alias == alias)
        number = self.connection.execute(query).scalar_one_or_none()
        if number is None:
            self.require_model(name)
            raise _version_not_found(f"{name} has no alias {alias}.", name)
        version = self.version(name, number)
        if version.state is State.YANKED:
            detail = f"{name}:{alias} means version {number}, which was withdrawn: {version.yanked_reason}"
            raise VersionYanked(detail, remedy=f"Move the alias, or write {name}@{number} to have it all the same.")
        return version

    def _find(
        self, wanted: ColumnElement[bool], *, limit: int | None = None, ready_first: bool = False
    ) -> list[Version]:
        order = [versions.c.model, versions.c.number.desc()]
        query: Select[*tuple[Any, ...]] = select(*_LISTED).where(wanted).limit(limit)
        if ready_first:
            query = query.order_by(case((_is_ready(), 0), else_=1))
        return [_version(row) for row in self.connection.execute(query.order_by(*order))]


def _of(name: ModelName) -> ColumnElement[bool]:
    return versions.c.model == str(name)


def _is(name: ModelName, number: int, view: View) -> ColumnElement[bool]:
    wanted = _of(name) & (versions.c.number == number)
    if view.is_whole:
        return wanted
    return wanted & select(models.c.name).where(models.c.name == versions.c.model, shown(view)).exists()


def _is_ready() -> ColumnElement[bool]:
    return versions.c.state == State.READY.value


def _version_not_found(detail: str, name: ModelName) -> VersionNotFound:
    return VersionNotFound(detail, remedy=f"List what there is with 'hub versions {name}'.")


def _version(row: AnyRow) -> Version:
    return Version(
        model=row.model,
        number=row.number,
        digest=row.digest,
        kind=Kind(row.kind),
        state=State(row.state),
        interface=row.interface,
        size=row.size,
        created_at=row.created_at,
        created_by=row.created_by,
        message=row.message,
        aliases=tuple(sorted(row.named.split(","))) if row.named else (),
        yanked_reason=row.yanked_reason,
    )
