"""The migrations lead to the tables, there and back, on both databases."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from hub.domain.access import HUB, Scope, Token
from hub.domain.audit import Action
from hub.domain.errors import NotAvailable, PushNotFound
from hub.domain.manifest import Kind
from hub.domain.names import ModelName
from hub.storage.catalog import Session
from hub.storage.catalog.catalog import Catalog
from hub.storage.catalog.engine import parse_url
from hub.storage.catalog.migrate import downgrade, migrate, newest_revision
from hub.storage.catalog.tables import METADATA

NAME = ModelName("acme", "trunk")


def tables(url: str) -> set[str]:
    engine = create_engine(parse_url(url))
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_the_migrations_lead_to_the_tables(database_url: str) -> None:
    migrate(parse_url(database_url))
    engine = create_engine(parse_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_the_migrations_lead_back_to_nothing_and_up_again(database_url: str) -> None:
    url = parse_url(database_url)
    assert migrate(url) == newest_revision()
    with_data = Catalog(database_url)
    with with_data.begin() as tx:
        tx.ensure_model(NAME, Kind.TRUNK, is_private=False, created_by="ada")
    with_data.close()
    assert downgrade(url, "base") == "base"
    assert tables(database_url) == {"alembic_version"}
    assert migrate(url) == newest_revision()
    assert tables(database_url) == {*METADATA.tables, "alembic_version"}


def test_migrating_again_keeps_what_is_there(database_url: str) -> None:
    catalog = Catalog(database_url)
    catalog.migrate()
    with catalog.begin() as tx:
        tx.ensure_model(NAME, Kind.TRUNK, is_private=False, created_by="ada")
    assert catalog.migrate() == newest_revision()
    with catalog.read() as tx:
        assert tx.model(NAME).kind is Kind.TRUNK
    catalog.close()


@pytest.fixture
def populated(database_url: str, make: Any) -> str:
    """A database of the first schema with a model, two versions that share a blob, and a push under way."""
    migrate(parse_url(database_url), "0001")
    manifests = [make.manifest(word) for word in ("one", "two")]
    at = datetime.now(UTC)
    engine = create_engine(parse_url(database_url))
    with engine.begin() as connection:

        def insert(table: str, **row: object) -> None:
            columns = {name: f":{name}" for name in row}
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"
            connection.execute(text(statement), row)

        insert("numbers", model="acme/trunk", last=2)
        insert(
            "models",
            name="acme/trunk",
            owner="acme",
            kind="trunk",
            is_private=False,
            card="",
            created_at=at,
            created_by="ada",
            updated_at=at,
        )
        for number, manifest in enumerate(manifests, 1):
            insert(
                "versions",
                model="acme/trunk",
                number=number,
                digest=manifest.digest(),
                kind="trunk",
                content_digest=manifest.digest(),
                state="ready",
                interface=1,
                size=manifest.size,
                created_at=at,
                created_by="ada",
                message="",
                yanked_reason="",
                golden_digest=make.GOLDEN,
                manifest=manifest.canonical(),
                report=make.REPORT.model_dump_json(),
            )
            for digest in (manifest.digest(), make.GOLDEN, *manifest.blobs()):
                insert("version_blobs", model="acme/trunk", number=number, digest=digest)
        push = make.push()
        insert(
            "pushes",
            id=push.id.hex if engine.dialect.name == "sqlite" else push.id,
            model="acme/trunk",
            draft=push.draft.model_dump_json(),
            message="",
            principal="ada",
            created_at=at,
        )
        insert("tokens", id="t1", name="laptop", scope="write", secret_sha256="a" * 64, created_at=at)
    engine.dispose()
    return database_url


def test_a_populated_database_learns_which_bytes_there_are(populated: str, make: Any) -> None:
    url = parse_url(populated)
    migrate(url)
    catalog = Catalog(populated)
    manifests = [make.manifest(word) for word in ("one", "two")]
    sizes = {digest: size for manifest in manifests for digest, size in manifest.blobs().items()}
    sizes |= {manifest.digest(): len(manifest.canonical()) for manifest in manifests}
    with catalog.begin() as tx:
        assert tx.stored([*sizes, make.GOLDEN]) == sizes | {make.GOLDEN: None}
        assert tx.condemn([*sizes, make.GOLDEN]) == 0
        assert tx.version(NAME, 2).digest == manifests[1].digest()
        tx.add_push(make.push())
    catalog.close()


def test_a_populated_database_goes_back_and_forth(populated: str, make: Any) -> None:
    url = parse_url(populated)
    migrate(url)
    catalog = Catalog(populated)
    with catalog.begin() as tx:
        push = make.push()
        tx.add_push(push)
        tx.lease_blobs(push.id, push.draft.blobs())
    catalog.close()
    assert downgrade(url, "0001") == "0001"
    assert migrate(url) == newest_revision()
    catalog = Catalog(populated)
    with catalog.read() as tx:
        assert [version.number for version in tx.versions(NAME, limit=5)] == [2, 1]
        assert len(tx.stored(make.manifest("one").blobs())) == 1
    catalog.close()


def test_what_was_audited_goes_with_its_table_and_the_rest_stays(populated: str) -> None:
    url = parse_url(populated)
    migrate(url, "0002")
    assert "audit" not in tables(populated)
    migrate(url)
    catalog = Catalog(populated)
    with catalog.begin() as tx:
        tx.note(HUB, Action.VERSION_DELETE, "acme/trunk@3")
    catalog.close()
    assert downgrade(url, "0002") == "0002"
    assert migrate(url) == newest_revision()
    catalog = Catalog(populated)
    with catalog.begin() as tx:
        assert tx.audit(limit=5) == []
        assert [version.number for version in tx.versions(NAME, limit=5)] == [2, 1]
        tx.note(HUB, Action.VERSION_DELETE, "acme/trunk@3")
    catalog.close()


def test_a_populated_database_is_found_by_what_its_models_take(populated: str) -> None:
    url = parse_url(populated)
    migrate(url, "0003")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE models SET card = :card"), {"card": "---\ntask: words\ntags: [a, b]\n---\n"})
    engine.dispose()
    migrate(url)
    catalog = Catalog(populated)
    with catalog.read() as tx:
        found = tx.model(NAME).facets
    catalog.close()
    assert found == {"task": ("words",), "tag": ("a", "b"), "dtype": ("float32",), "input": ("3",)}


def test_tokens_and_models_from_before_there_were_people_stay_what_they_were(populated: str, make: Any) -> None:
    url = parse_url(populated)
    migrate(url, "0003")
    migrate(url)
    catalog = Catalog(populated)
    with catalog.begin() as tx:
        token = tx.token_by_secret("a" * 64)
        assert token is not None
        assert (token.name, token.scope, token.user, token.limit) == ("laptop", Scope.WRITE, None, None)
        assert not tx.is_free("acme")
        assert tx.account("acme") is None
        with pytest.raises(PushNotFound):
            tx.push(make.push().id)
        tx.add_user("ada", is_admin=False, email=None, password_hash=None)
        for key, limit in (("b", None), ("c", "acme")):
            made = Token(id=key, name=key, scope=Scope.READ, user="ada", limit=limit, created_at=datetime.now(UTC))
            tx.add_token(made, key * 64)
        tx.add_session("d" * 64, Session("ada", None, datetime.now(UTC) + timedelta(days=1)))
    catalog.close()
    assert downgrade(url, "0003") == "0003"
    assert migrate(url) == newest_revision()
    catalog = Catalog(populated)
    with catalog.read() as tx:
        assert [token.name for token in tx.tokens()] == ["laptop"]
        assert tx.users() == []
    catalog.close()


def test_a_database_that_was_not_migrated_fails_its_check_and_says_what_to_do(database_url: str) -> None:
    catalog = Catalog(database_url)
    with pytest.raises(NotAvailable, match="hub admin migrate"):
        catalog.check()
    catalog.migrate()
    catalog.check()
    catalog.close()


_MIGRATOR = "import sys; from hub.storage.catalog.catalog import Catalog; print(Catalog(sys.argv[1]).migrate())"


@pytest.mark.slow
def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    command = [sys.executable, "-c", _MIGRATOR, database_url]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in started] == [newest_revision()] * 4
    assert tables(database_url) == {*METADATA.tables, "alembic_version"}


def test_a_migration_that_fails_in_the_middle_leaves_what_it_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("CREATE TABLE pushes (id INTEGER)")
    connection.close()
    catalog = Catalog(f"sqlite:///{tmp_path}/hub.db")
    with pytest.raises(NotAvailable, match="pushes already exists"):
        catalog.migrate()
    catalog.close()
    assert tables(f"sqlite:///{tmp_path}/hub.db") == {"pushes"}
