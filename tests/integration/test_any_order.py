"""Push, pull, alias, yank, remove, sweep and quota in any order: the hub is what a few dictionaries say it is."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from hub.domain.access import HUB
from hub.domain.digests import digest_of
from hub.domain.errors import BlobsMissing, ModelNotFound, NotFound, PushNotFound, QuotaExceeded, VersionYanked
from hub.domain.names import ModelName
from hub.domain.versions import State, Version
from hub.protocol.schemas import BeginPush
from hub.server import furnish
from hub.services.deep_check import DeepChecks
from hub.services.quotas import Quotas
from hub.services.sweep import Sweeps
from hub.settings import Settings
from hub.storage.blobs import open_store
from hub.storage.catalog import Catalog
from hub.storage.snapshots import Snapshots
from tests.integration.api.conftest import ScriptedEngine, announce, write_saved_model

NAMES = st.sampled_from(["acme/cats", "acme/dogs"])
NUMBERS = st.integers(1, 3)
ALIASES = st.sampled_from(["prod", "next"])
Files = dict[str, bytes]


def _files(width: int, words: bytes) -> Files:
    return {"saved_model.pb": write_saved_model(width), "assets/words": words}


FILES = st.builds(_files, st.integers(1, 2), st.sampled_from([b"a cat", b"a dog"]))


@dataclass(slots=True)
class Known:
    """What a model should be."""

    files: dict[int, Files] = field(default_factory=dict)
    yanked: set[int] = field(default_factory=set)
    aliases: dict[str, int] = field(default_factory=dict)


@contextmanager
def copied(template: Path) -> Iterator[Path]:
    """A folder that has what the template has, until it is done with."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        yield Path(folder)


class Changes(RuleBasedStateMachine):
    """What people may do, one after the other."""

    template: Path
    stands: tuple[dict[str, Known], dict[str, int]]
    pushes = Bundle("pushes")

    @initialize()
    def begin(self) -> None:
        """Go on where the template stands."""
        self.scratch = copied(self.template)
        self.open(self.scratch.__enter__())
        self.models, self.numbers = deepcopy(self.stands)

    def open(self, folder: Path) -> None:
        """Use a folder that has a database."""
        wanted = Settings(data_dir=folder)
        self.catalog, self.blobs = Catalog(wanted.database), open_store(wanted.storage)
        snapshots = Snapshots(self.blobs, wanted.data_path / "snapshots")
        self.house = furnish(wanted, self.catalog, self.blobs, snapshots, ScriptedEngine())
        self.quotas = Quotas(self.catalog)
        self.models: dict[str, Known] = {}
        self.numbers: dict[str, int] = {}
        self.is_limited = False

    def teardown(self) -> None:
        if hasattr(self, "catalog"):
            self.catalog.close()
            self.scratch.__exit__(None, None, None)

    def _open(self, name: str, files: Files, alias: str | None = None) -> UUID | None:
        """Begin a push; None where there was nothing to send or no room."""
        request = BeginPush(model=name, draft=announce(files), alias=alias)
        try:
            ticket = self.house.pushes.begin(HUB, request)
        except QuotaExceeded:
            assert self.is_limited
            return None
        if ticket.existing is None:
            return ticket.push_id
        known = self.models[name]
        assert known.files[ticket.existing.number] == files
        if alias is not None and ticket.existing.number not in known.yanked:
            known.aliases[alias] = ticket.existing.number
        return None

    def _finish(self, name: str, files: Files, push: UUID, alias: str | None) -> None:
        """Complete a push, and note what became of it."""
        try:
            version = self.house.pushes.complete(HUB, push)
        except QuotaExceeded:
            assert self.is_limited
            return
        version = asyncio.run(self.house.validations.run(version))
        assert version.state in (State.READY, State.YANKED)
        known = self.models.setdefault(name, Known())
        if version.number not in known.files:
            assert version.number > self.numbers.get(name, 0), "a number was given again"
            self.numbers[name] = version.number
        known.files[version.number] = files
        if alias is not None and version.number not in known.yanked:
            known.aliases[alias] = version.number

    @rule(target=pushes, name=NAMES, files=FILES, sent=st.integers(0, 2))
    def begin_and_leave(self, name: str, files: Files, sent: int) -> object:
        """Send some of a push, and go away."""
        push = self._open(name, files)
        if push is None:
            return multiple()
        for data in list(files.values())[:sent]:
            self.house.pushes.upload(HUB, push, digest_of(data), [data], len(data))
        return name, files, push, sent

    @rule(push=consumes(pushes))
    def come_back(self, push: tuple[str, Files, UUID, int]) -> None:
        """Complete what was left."""
        name, files, push_id, _ = push
        try:
            self._finish(name, files, push_id, None)
        except (BlobsMissing, PushNotFound):
            return

    @rule(name=NAMES, files=FILES, alias=st.none() | ALIASES)
    def push(self, name: str, files: Files, alias: str | None) -> None:
        push = self._open(name, files, alias)
        if push is None:
            return
        for data in files.values():
            self.house.pushes.upload(HUB, push, digest_of(data), [data], len(data))
        self._finish(name, files, push, alias)

    @rule(name=NAMES, number=NUMBERS, alias=ALIASES)
    def set_alias(self, name: str, number: int, alias: str) -> None:
        known = self.models.get(name, Known())
        if number not in known.files:
            with pytest.raises(NotFound):
                self.house.aliases.set(HUB, name, alias, number)
        elif number in known.yanked:
            with pytest.raises(VersionYanked):
                self.house.aliases.set(HUB, name, alias, number)
        else:
            self.house.aliases.set(HUB, name, alias, number)
            known.aliases[alias] = number

    @rule(name=NAMES, number=NUMBERS)
    def yank(self, name: str, number: int) -> None:
        known = self.models.get(name, Known())
        if number not in known.files:
            with pytest.raises(NotFound):
                self.house.yanks.yank(HUB, name, number, "it was wrong")
        else:
            self.house.yanks.yank(HUB, name, number, "it was wrong")
            known.yanked.add(number)

    @rule(name=NAMES, number=NUMBERS)
    def remove_version(self, name: str, number: int) -> None:
        known = self.models.get(name, Known())
        if number not in known.files:
            with pytest.raises(NotFound):
                self.house.removals.version(HUB, name, number)
            return
        self.house.removals.version(HUB, name, number)
        del known.files[number]
        known.yanked.discard(number)
        known.aliases = {alias: named for alias, named in known.aliases.items() if named != number}

    @rule(name=NAMES)
    def remove_model(self, name: str) -> None:
        if name not in self.models:
            with pytest.raises(ModelNotFound):
                self.house.removals.model(HUB, name)
            return
        self.house.removals.model(HUB, name)
        del self.models[name]

    @rule(grace_s=st.sampled_from([0.0, 3_600.0]))
    def sweep(self, grace_s: float) -> None:
        report = Sweeps(self.catalog, self.blobs, grace_s=grace_s, push_life_s=3_600).run()
        assert not report.lost

    @rule(limit_bytes=st.sampled_from([None, 0, 2_000, 1 << 20]))
    def limit(self, limit_bytes: int | None) -> None:
        self.quotas.set("acme", limit_bytes)
        self.is_limited = limit_bytes is not None

    @invariant()
    def what_is_there_is_what_should_be(self) -> None:
        if not hasattr(self, "catalog"):
            return
        for name in self.models:
            self._compare(name)
        with self.catalog.read() as tx:
            assert {str(version.model) for version in tx.stored_versions(("", 0))} == {
                name for name, known in self.models.items() if known.files
            }

    @invariant()
    def a_deep_check_finds_nothing(self) -> None:
        if hasattr(self, "catalog"):
            assert not DeepChecks(self.catalog, self.blobs, overdue_s=3_600).run(lambda _read, _all: None).flaws

    def _compare(self, name: str) -> None:
        known = self.models[name]
        with self.catalog.read() as tx:
            there: list[Version] = tx.versions(ModelName.parse(name), before=None, limit=100)
            aliases = tx.model(ModelName.parse(name)).aliases
        assert {version.number for version in there} == set(known.files)
        assert {version.number for version in there if version.state is State.YANKED} == known.yanked
        assert {alias: number for alias, number in aliases.items() if alias != "latest"} == known.aliases
        for version in there:
            pulled = self.house.pulls.contents(HUB, name, version.number).files
            found = {
                file.path: b"".join(b"".join(self.blobs.open(ref.digest)) for ref in file.blobs) for file in pulled
            }
            assert found == known.files[version.number]


def test_changes_in_any_order_leave_what_they_should(tmp_path: Path) -> None:
    catalog = Catalog(Settings(data_dir=tmp_path).database)
    catalog.migrate()
    catalog.close()
    first = Changes()
    first.open(tmp_path)
    for name in ("acme/cats", "acme/dogs"):
        for words in (b"a cat", b"a dog"):
            first.push(name, _files(1, words), None)
    first.catalog.close()
    Changes.template, Changes.stands = tmp_path, (first.models, first.numbers)
    case = Changes.TestCase
    case.settings = settings(
        max_examples=6,
        stateful_step_count=20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    case().runTest()
