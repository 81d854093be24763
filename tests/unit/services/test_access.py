"""Access: who may what, and what becomes of tokens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.domain.access import Principal, Scope, Token
from hub.domain.errors import Forbidden, TokenNotFound, Unauthorized
from hub.domain.secret import hashed
from hub.protocol.schemas import CreateToken
from hub.services import principals
from hub.services.access import Access
from hub.storage.catalog import Catalog

ADMIN = Principal(name="root", scope=Scope.ADMIN)


@pytest.fixture
def access(catalog: Catalog) -> Access:
    return Access(catalog, "read")


def test_a_new_token_opens_the_door_with_its_own_scope(access: Access):
    made = access.create(ADMIN, CreateToken(name="ci", scope=Scope.WRITE))
    assert access.authenticate(f"Bearer {made.secret}") == Principal(
        name="ci", scope=Scope.WRITE, token_id=made.token.id
    )
    assert access.authenticate(f"bearer   {made.secret} ").name == "ci"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic abc", "trunkhub_x", "Bearer nobody", "Bearer \udcff"])
def test_a_wrong_token_is_refused_and_never_taken_for_nobody(header: str, access: Access):
    with pytest.raises(Unauthorized):
        access.authenticate(header)


def test_a_wrong_cookie_is_refused(access: Access):
    with pytest.raises(Unauthorized):
        access.authenticate(None, "trunkhub_unknown")


@pytest.mark.parametrize(("policy", "scope"), [("none", None), ("read", Scope.READ), ("all", Scope.WRITE)])
def test_strangers_get_what_the_policy_says(policy: str, scope: Scope | None, catalog: Catalog):
    stranger = Access(catalog, policy).authenticate(None)
    assert (stranger.scope, stranger.is_anonymous) == (scope, True)


def test_a_revoked_token_is_worthless_at_once(access: Access):
    made = access.create(ADMIN, CreateToken(name="ci", scope=Scope.READ))
    access.authenticate(f"Bearer {made.secret}")
    access.revoke(ADMIN, made.token.id)
    with pytest.raises(Unauthorized):
        access.authenticate(f"Bearer {made.secret}")


def test_another_process_notices_a_revocation_when_its_memory_runs_out(
    catalog: Catalog, access: Access, monkeypatch: pytest.MonkeyPatch
):
    made = access.create(ADMIN, CreateToken(name="ci", scope=Scope.READ))
    monkeypatch.setattr(principals, "KNOWN_FOR_S", -1.0)
    other = Access(catalog, "none")
    assert other.authenticate(f"Bearer {made.secret}").name == "ci"
    access.revoke(ADMIN, made.token.id)
    with pytest.raises(Unauthorized):
        other.authenticate(f"Bearer {made.secret}")


def test_a_token_ends_at_its_time_even_while_it_is_remembered(catalog: Catalog, access: Access):
    now = datetime.now(UTC)
    token = Token(id="old", name="old", scope=Scope.READ, created_at=now, expires_at=now - timedelta(seconds=1))
    with catalog.begin() as tx:
        tx.add_token(token, hashed("s"))
    access.known.remember(hashed("s"), Principal(name="old", scope=Scope.READ, token_id="old"), token.expires_at)
    with pytest.raises(Unauthorized, match="expired"):
        access.authenticate("Bearer s")


def test_the_secret_is_nowhere_in_the_database(catalog: Catalog, access: Access):
    made = access.create(ADMIN, CreateToken(name="ci", scope=Scope.READ))
    assert catalog.url.database is not None
    stored = b"".join(Path(catalog.url.database + suffix).read_bytes() for suffix in ("", "-wal"))
    assert made.token.id.encode() in stored
    assert made.secret.encode() not in stored


def test_using_a_token_is_remembered(access: Access):
    made = access.create(ADMIN, CreateToken(name="ci", scope=Scope.READ))
    assert access.tokens(ADMIN).items[0].last_used_at is None
    access.authenticate(f"Bearer {made.secret}")
    assert access.tokens(ADMIN).items[0].last_used_at is not None


def test_only_an_administrator_makes_lists_and_revokes_tokens(access: Access):
    writer = Principal(name="ci", scope=Scope.WRITE)
    for forbidden in (
        lambda: access.create(writer, CreateToken(name="x", scope=Scope.READ)),
        lambda: access.tokens(writer),
        lambda: access.revoke(writer, "x"),
    ):
        with pytest.raises(Forbidden, match="admin"):
            forbidden()


def test_revoking_what_is_not_there_says_so(access: Access):
    with pytest.raises(TokenNotFound):
        access.revoke(ADMIN, "nothing")


def test_the_first_administrator_is_made_once_and_again_when_none_is_left(access: Access):
    first = access.create_first()
    assert first is not None
    assert access.create_first() is None
    access.revoke(ADMIN, first.token.id)
    access.create(ADMIN, CreateToken(name="reader", scope=Scope.READ))
    assert access.create_first() is not None
