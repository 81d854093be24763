"""Yank: withdraw a version. It stays callable by its exact number, and no name leads to it any more.

Before that, :meth:`Yanks.impact` tells what it would do: which names lead elsewhere, and what stands on the version.
"""

from dataclasses import dataclass

from hub.domain.access import Principal, Scope
from hub.domain.audit import Action
from hub.domain.errors import VersionNotReady
from hub.domain.impact import Impact, moves_of_yank
from hub.domain.lineage import EdgeKind
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.services.changes import require
from hub.storage.catalog import Catalog

MAX_REASON_CHARS = 300  # of it in the audit; the version has all of it
MAX_DEPENDENTS = 1_000


@dataclass(frozen=True, slots=True)
class Yanks:
    """The yank use case."""

    catalog: Catalog

    def yank(self, principal: Principal, name: str, number: int, reason: str) -> Version:
        """Withdraw a ready version; withdrawing it again changes nothing.

        Raises:
            VersionNotFound: No such version that the caller may see.
            VersionNotReady: It is still validating, or was rejected.
        """
        require(self.catalog, principal, Scope.WRITE, Action.VERSION_YANK, f"{name}@{number}", where=name)
        model = ModelName.parse(name)
        with self.catalog.begin() as tx:
            version = tx.version(model, number, principal.view)
            if version.state is State.YANKED:
                return version
            if version.state is not State.READY:
                raise VersionNotReady(
                    f"{version.reference} is {version.state.value}; only a ready version is withdrawn."
                )
            tx.note(principal, Action.VERSION_YANK, version.reference, {"reason": reason[:MAX_REASON_CHARS]})
            return tx.yank(model, number, reason)

    def impact(self, principal: Principal, name: str, number: int) -> Impact:
        """What withdrawing a version would do.

        Raises:
            VersionNotFound: No such version that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            version = tx.version(model, number, principal.view)
            ready = tx.ready_numbers(model)
            links = [link for link in tx.links([version], MAX_DEPENDENTS + 1) if link.child != (name, number)]
            found = tx.versions_at({link.child for link in links})
            private = tx.hidden_among({link.child[0] for link in links}, principal.view)
        standing = [(found[link.child], link) for link in links if link.edge.digest == version.digest]
        standing = [(child, link) for child, link in standing if child.state is State.READY]
        seen = [(child, link.edge.kind is EdgeKind.HEAD_OF) for child, link in standing if child.model not in private]
        return Impact(
            version=version,
            moves=moves_of_yank(version, ready),
            heads=tuple(dict.fromkeys(child for child, is_head in seen if is_head)),
            derived=tuple(dict.fromkeys(child for child, is_head in seen if not is_head)),
            hidden=len({child.model for child, _ in standing if child.model in private}),
            is_cut=len(links) > MAX_DEPENDENTS,
        )
