"""``hub admin user`` and ``org`` from a shell: what they say is so for a hub over the same database."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from hub.domain.access import Scope
from hub.services.passwords import is_password
from hub.settings import Settings
from hub.storage.catalog import Catalog

pytestmark = pytest.mark.slow  # every command is a process of its own


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    made = Catalog(Settings(data_dir=tmp_path).database)
    made.migrate()
    return made


def test_people_are_added_given_roles_and_kept_out(tmp_path: Path, catalog: Catalog):
    def admin(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hub.cli.main", "admin", *words, "--data-dir", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)

    short = admin("user", "add", "ada", stdin="short\n")
    assert (short.returncode, short.stdout) == (1, "")
    assert "from 10 to 200 characters" in short.stderr
    assert admin("user", "add", "ada", "--email", "Ada@Example.org", stdin="a longer one\n").returncode == 0
    assert "taken" in admin("org", "add", "ada").stderr
    assert admin("org", "add", "acme").returncode == 0
    assert admin("org", "set", "acme", "ada", "admin").returncode == 0
    assert admin("org", "members", "acme").stdout.startswith("ada\tadmin\t")
    last = admin("org", "remove", "acme", "ada")
    assert last.returncode == 1
    assert "ada is the last administrator of acme." in last.stderr
    assert admin("user", "disable", "ada").returncode == 0
    [listed] = orjson.loads(admin("user", "ls", "--json").stdout)
    assert (listed["name"], listed["email"], listed["has_password"]) == ("ada", "ada@example.org", True)
    assert listed["disabled_at"]
    with catalog.read() as tx:
        account = tx.account("ada")
        assert account is not None
        assert is_password("a longer one", account.password_hash)
        assert tx.roles("ada") == {"acme": Scope.ADMIN}
        actions = [entry.action.value for entry in tx.audit(actor="hub", limit=10)]
    assert actions == ["user.disable", "member.set", "organisation.create", "user.create"]
    catalog.close()
