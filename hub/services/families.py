"""Families: the versions around a version, some ties away in both directions.

Steps: the version → what is tied to it → what is tied to those, level by level; a level costs a handful of queries,
however many versions it has.

Laws: a private model is only counted for who may not see it, and nothing behind it is found through it; no more than
:data:`MAX_RELATIVES` versions are looked at; what was rejected is no relative unless something came from it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from hub.domain.access import Principal, Scope, View
from hub.domain.lineage import EdgeKind
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.domain.versions import Version
from hub.protocol.family import MAX_RELATIVES, Family, Hidden, Relative, Tie, TieKind
from hub.storage.catalog import Catalog, Transaction
from hub.storage.catalog.family import Link, VersionKey

MAX_LINKS = 2_000
_BEFORE, _AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Families:
    """The family use case."""

    catalog: Catalog

    def around(self, principal: Principal, name: str, number: int, depth: int) -> Family:
        """The versions at most ``depth`` ties from one.

        Raises:
            VersionNotFound: No such version of a model that the caller may see.
        """
        principal.require(Scope.READ)
        model = ModelName.parse(name)
        with self.catalog.read() as tx:
            centre = tx.version(model, number, principal.view)
            walk = _Walk(tx, view=principal.view)
            walk.take([centre])
            for _ in range(depth):
                walk.step()
            walk.close()
        return walk.family(centre.reference, depth)


@dataclass(slots=True)
class _Walk:
    """A walk from the centre outwards, as far as it has come."""

    tx: Transaction
    view: View
    known: dict[VersionKey, Version | None] = field(default_factory=dict)
    frontier: list[Version] = field(default_factory=list)
    ties: dict[tuple[VersionKey, VersionKey, TieKind], str | None] = field(default_factory=dict)
    hidden: dict[tuple[VersionKey, str], dict[str, Kind]] = field(default_factory=lambda: defaultdict(dict))
    is_cut: bool = False

    def take(self, found: Iterable[Version]) -> None:
        """Make versions relatives, whose own ties are looked at in the next step."""
        self.frontier = []
        for version in found:
            if len(self.known) >= MAX_RELATIVES:
                self.is_cut = True
                return
            self.known[version.model, version.number] = version
            self.frontier.append(version)

    def step(self) -> None:
        """Go one tie further."""
        self._look(is_last=False)

    def close(self) -> None:
        """Find what ties the outermost relatives to each other, and what is hidden next to them."""
        self._look(is_last=True)

    def _look(self, *, is_last: bool) -> None:
        if not self.frontier:
            return
        links = self.tx.links(self.frontier, MAX_LINKS + 1)
        self.is_cut = self.is_cut or len(links) > MAX_LINKS
        pairs = self.tx.successions(self.frontier)
        ends = _ends(links, pairs)
        private = self.tx.hidden_among({model for model, _ in ends}, self.view)
        new = [key for key in ends if key not in self.known and key[0] not in private]
        found = {} if is_last else self.tx.versions_at(new)
        there = self.known | found
        links = [link for link in links[:MAX_LINKS] if _is_true(link, there)]
        self.take([found[key] for key in _ends(links, pairs) if key in found])
        for link in links:
            if not is_last and link.parent in new and link.parent not in found and len(self.known) < MAX_RELATIVES:
                self.known[link.parent] = None
            signature = link.edge.signature if link.edge.kind is EdgeKind.HEAD_OF else None
            self._tie(link.child, link.parent, link.edge.kind.value, signature, private)
        for later, earlier in pairs:
            self._tie(later, earlier, "follows", None, private)

    def _tie(
        self, child: VersionKey, parent: VersionKey, kind: TieKind, signature: str | None, private: dict[str, Kind]
    ) -> None:
        for mine, other, side in ((child, parent, _BEFORE), (parent, child, _AFTER)):
            if mine in self.known and other[0] in private:
                self.hidden[mine, side][other[0]] = private[other[0]]
        if child in self.known and parent in self.known:
            self.ties[child, parent, kind] = signature

    def family(self, centre: str, depth: int) -> Family:
        """What was found."""
        relatives = [
            Relative(reference=_reference(key), version=version, hidden=self._hidden_at(key))
            for key, version in self.known.items()
        ]
        ties = [
            Tie(child=_reference(child), parent=_reference(parent), kind=kind, signature=signature)
            for (child, parent, kind), signature in self.ties.items()
        ]
        return Family(centre=centre, depth=depth, relatives=tuple(relatives), ties=tuple(ties), is_cut=self.is_cut)

    def _hidden_at(self, key: VersionKey) -> Hidden:
        before, after = (list(self.hidden.get((key, side), {}).values()) for side in (_BEFORE, _AFTER))
        return Hidden(
            trunks_before=len(before), trunks_after=_count(after, Kind.TRUNK), heads_after=_count(after, Kind.HEAD)
        )


def _ends(links: Iterable[Link], pairs: Iterable[tuple[VersionKey, VersionKey]]) -> list[VersionKey]:
    """Both ends of all of them, each once."""
    both = [*((link.child, link.parent) for link in links), *pairs]
    return list(dict.fromkeys(chain.from_iterable(both)))


def _is_true(link: Link, there: Mapping[VersionKey, Version | None]) -> bool:
    """Whether an edge leads to what it names: to the version with its digest, or to one that is gone."""
    parent = there.get(link.parent)
    return parent is None or parent.digest == link.edge.digest


def _count(kinds: Sequence[Kind], wanted: Kind) -> int:
    return sum(kind is wanted for kind in kinds)


def _reference(key: VersionKey) -> str:
    return f"{key[0]}@{key[1]}"
