"""Users, organisations, roles and sessions; and which bytes somebody has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.domain.access import Scope, Token, View
from hub.domain.errors import OwnerNotFound, TokenNotFound
from hub.domain.names import ModelName
from hub.domain.versions import State
from hub.storage.catalog import Session
from hub.storage.catalog.catalog import Catalog


def add_user(tx: Any, name: str, **more: Any) -> bool:
    return tx.add_user(name, **{"is_admin": False, "email": None, "password_hash": None} | more)


def test_users_and_organisations_share_their_names(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert add_user(tx, "ada", is_admin=True, email="ada@example.org", password_hash="h")
        assert not tx.add_organisation("ada")
        assert tx.add_organisation("acme")
        assert not add_user(tx, "acme")
        assert not tx.is_free("acme")
        assert tx.is_free("bob")
        [ada] = tx.users()
        assert (ada.name, ada.is_admin, ada.email, ada.has_password) == ("ada", True, "ada@example.org", True)
        assert tx.account("ada") == tx.account_by_email("ada@example.org")
        assert tx.account("acme") is None
        assert [found.name for found in tx.organisations()] == ["acme"]
        assert (tx.is_organisation("acme"), tx.is_organisation("ada"), tx.is_organisation("x")) == (True, False, False)


def test_a_user_changes(catalog: Catalog) -> None:
    at = datetime.now(UTC)
    with catalog.begin() as tx:
        add_user(tx, "ada")
        tx.set_password("ada", "new")
        tx.set_subject("ada", "https://id.example.org", "42")
        tx.set_disabled("ada", at)
        found = tx.account_by_subject("https://id.example.org", "42")
        assert found == tx.account("ada")
        assert (found.password_hash, found.user.disabled_at) == ("new", at)
        with pytest.raises(OwnerNotFound, match="bob"):
            tx.set_password("bob", "x")


def test_a_role_is_given_changed_and_taken(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        add_user(tx, "ada")
        tx.add_organisation("acme")
        assert tx.roles("ada") == {}
        assert tx.set_member("acme", "ada", Scope.READ) is None
        assert tx.set_member("acme", "ada", Scope.ADMIN) is Scope.READ
        assert tx.roles("ada") == {"acme": Scope.ADMIN}
        assert [(member.user, member.role) for member in tx.members("acme")] == [("ada", Scope.ADMIN)]
        assert tx.remove_member("acme", "ada")
        assert not tx.remove_member("acme", "ada")


def test_a_token_is_its_users(catalog: Catalog) -> None:
    token = Token(id="t1", name="x", scope=Scope.READ, user="ada", limit="acme/x", created_at=datetime.now(UTC))
    with catalog.begin() as tx:
        add_user(tx, "ada")
        tx.add_token(token, "a" * 64)
        assert tx.working_token("t1") == token
        assert tx.tokens("ada") == [token]
        assert tx.tokens("bob") == []
        with pytest.raises(TokenNotFound):
            tx.revoke_token("t1", "bob")
        tx.revoke_token("t1", "ada")
        assert tx.working_token("t1") is None


def test_a_session_ends_or_expires(catalog: Catalog) -> None:
    now = datetime.now(UTC)
    with catalog.begin() as tx:
        add_user(tx, "ada")
        for key, life in (("a", 60), ("b", 60), ("c", -1)):
            tx.add_session(key * 64, Session("ada", None, now + timedelta(seconds=life)))
        assert tx.session("a" * 64) == Session("ada", None, now + timedelta(seconds=60))
        assert tx.session("c" * 64) is None
        assert tx.end_session("a" * 64) is not None
        assert tx.session("a" * 64) is None
        tx.end_sessions_of("ada")
        assert tx.session("b" * 64) is None


@pytest.mark.parametrize(
    ("view", "has_it"),
    [
        (View(None, None), True),
        (View(frozenset({"zoo"}), None), True),
        (View(frozenset({"zoo"}), "zoo"), True),
        (View(None, "zoo/hidden"), True),
        (View(frozenset({"acme"}), None), False),
        (View(frozenset(), None), False),
        (View(frozenset({"zoo"}), "acme"), False),
        (View(None, "zoo/other"), False),
    ],
)
def test_whoever_reads_a_private_model_has_its_bytes(catalog: Catalog, make: Any, view: View, has_it: bool) -> None:
    name, push = ModelName("zoo", "hidden"), make.push()
    with catalog.begin() as tx:
        make.ready(tx, name, "secret")
        tx.set_private(name, True)
        make.ready(tx, make.TRUNK, "known")
        make.add(tx, make.TRUNK, "bad", state=State.REJECTED)
        tx.add_push(push)
        tx.lease_blobs(push.id, {make.digest("sent"): 4, make.digest("unsent"): 6})
        tx.note_sent(push.id, make.digest("sent"))
        words = ("secret", "known", "bad", "sent", "unsent", "absent")
        had = tx.had_by(view, push.id, [make.digest(word) for word in words])
        mine = {make.digest("bad")} if view in (View(None, None), View(frozenset({"acme"}), None)) else set()
        secret = {make.digest("secret")} if has_it else set()
        if view == View(frozenset({"zoo"}), "acme"):
            mine = set()
        assert had == {make.digest("known"), make.digest("sent")} | secret | mine
