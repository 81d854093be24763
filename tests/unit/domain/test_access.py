"""Who may do what: every scope with every role and limit, in one table; and what a secret looks like."""

import string
from itertools import product

import pytest

from hub.domain.access import NO_ROLES, Principal, Scope
from hub.domain.errors import Forbidden, Unauthorized
from hub.domain.secret import hashed, is_mistyped, new_secret

READ, WRITE, ADMIN = Scope
SCOPES = (None, READ, WRITE, ADMIN)
RANK = {scope: rank for rank, scope in enumerate(SCOPES)}
WHERE = "acme/x"
LIMITS = {None: True, "acme": True, "acme/x": True, "acme/xy": False, "zoo": False, "ac": False, "zoo/x": False}


@pytest.mark.parametrize(("scope", "role", "limit", "needed"), [*product(SCOPES, SCOPES, LIMITS, (READ, WRITE, ADMIN))])
def test_a_model_takes_scope_and_role_and_limit(scope: Scope, role: Scope, limit: str, needed: Scope):
    roles = {"zoo": ADMIN} | ({"acme": role} if role else {})
    user = Principal(name="ada", scope=scope, user="ada", roles=roles, limit=limit)
    expected = min(RANK[scope], RANK[role]) >= RANK[needed] and LIMITS[limit]
    assert user.may(needed, WHERE) is expected
    service = Principal(name="ci", scope=scope, token_id="t", limit=limit)
    assert service.may(needed, WHERE) is (RANK[scope] >= RANK[needed] and LIMITS[limit])


@pytest.mark.parametrize(("scope", "roles", "limit"), [*product(SCOPES, (None, NO_ROLES, {"acme": ADMIN}), LIMITS)])
def test_the_hub_itself_is_ruled_without_roles_and_limit_and_read_by_all_who_may_read(scope, roles, limit):
    somebody = Principal(name="ada", scope=scope, roles=roles, limit=limit)
    assert somebody.may(READ) is (scope is not None)
    assert somebody.may(ADMIN) is (scope is ADMIN and roles is None and limit is None)


@pytest.mark.parametrize(
    ("where", "limit", "is_in"),
    [
        ("acme", None, True),
        ("acme", "acme", True),
        ("acme", "acme/x", False),
        ("acme/x", "acme", True),
        ("acmes/x", "acme", False),
        ("acme/x/y", "acme/x", True),
    ],
)
def test_a_whole_owner_is_not_within_a_limit_to_one_model(where: str, limit: str | None, is_in: bool):
    assert Principal(name="ci", scope=ADMIN, limit=limit).may(ADMIN, where) is is_in


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (Principal(name="ci", scope=READ), "The token 'ci' has scope read, this needs write."),
        (
            Principal(name="ci", scope=WRITE, limit="zoo"),
            "The token 'ci' comes with a token that is limited to zoo, this needs write.",
        ),
        (
            Principal(name="ada", scope=ADMIN, user="ada", roles={"acme": READ}),
            "'ada' has scope admin and role read with acme, this needs write.",
        ),
        (
            Principal(name="ada", scope=ADMIN, user="ada", roles={"ada": ADMIN}),
            "'ada' has scope admin and role none with acme, this needs write.",
        ),
    ],
)
def test_a_refusal_says_what_is_lacking(who: Principal, said: str):
    with pytest.raises(Forbidden) as refused:
        who.require(WRITE, WHERE)
    assert refused.value.detail == said
    assert refused.value.remedy


def test_nobody_in_particular_is_asked_for_a_token():
    with pytest.raises(Unauthorized):
        Principal(name="anonymous", scope=READ, is_anonymous=True, roles=NO_ROLES).require(WRITE, WHERE)


def test_a_view_shows_what_may_be_read():
    assert Principal(name="ci", scope=READ).view.is_whole
    assert Principal(name="x", scope=None).view.owners == frozenset()
    limited = Principal(name="ada", scope=READ, user="ada", roles={"ada": ADMIN}, limit="ada/x")
    assert (limited.view.owners, limited.view.limit, limited.view.is_whole) == ({"ada"}, "ada/x", False)


def test_a_user_is_one_whatever_token_they_use_and_services_of_one_name_are_two():
    tokens = [Principal(name="ada", scope=READ, user="ada", token_id=each) for each in "ab"]
    services = [Principal(name="ci", scope=READ, token_id=each) for each in "ab"]
    assert tokens[0].identity == tokens[1].identity
    assert len({each.identity for each in (*tokens, *services)}) == 3


def test_a_secret_is_letters_and_digits_and_no_two_are_alike():
    made = {new_secret() for _ in range(200)}
    assert len(made) == 200
    for secret in made:
        assert len(secret) == len("trunkhub_") + 49
        assert set(secret.removeprefix("trunkhub_")) <= set(string.ascii_letters + string.digits)
        assert not is_mistyped(secret)
        assert len(hashed(secret)) == 64


def test_a_mistyped_secret_is_told_without_a_look_up():
    secret = new_secret()
    for at in range(len("trunkhub_"), len(secret)):
        other = "a" if secret[at] != "a" else "b"
        assert is_mistyped(secret[:at] + other + secret[at + 1 :])
    assert is_mistyped(secret[:-1])
    assert is_mistyped(secret + "0")


def test_a_secret_of_an_older_hub_may_be_right():
    assert not is_mistyped("trunkhub_" + "A-_b" * 10 + "abc")
    assert not is_mistyped("anything")
