"""Signing in: with a password, with a token, and at a real OpenID provider; sessions and their ends."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import RSAKey

from hub.domain.access import HUB, Scope
from hub.protocol import paths
from hub.protocol.schemas import CreateToken
from hub.services import sign_in as sign_in_module
from hub.services.passwords import password_hash
from hub.web import pages
from tests.support.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider

PASSWORD = "correct horse battery"
HASHED = password_hash(PASSWORD)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def hub(landlord: Any, provider: Provider) -> Any:
    provider.claims, provider.lies, provider.signs_with = {"sub": "1", "preferred_username": "ada"}, {}, None
    landlord.pages = pages.routes
    oidc = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
    running = landlord.start(anonymous="none", **oidc)
    with running.house.people.catalog.begin() as tx:  # hashed once: that is slow on purpose
        for name, email in (("eve", None), ("mia", "mia@example.org")):
            tx.add_user(name, is_admin=False, email=email, password_hash=HASHED)
    return running


@pytest.fixture
def visitor(hub: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=hub.url, headers={"Origin": hub.url}, timeout=30) as client:
        yield client


def sign_in(client: httpx2.Client, **form: str) -> httpx2.Response:
    return client.post("/login", data=form)


def come_back(client: httpx2.Client, provider: Provider, **changed: str) -> httpx2.Response:
    """Go to the provider and come back, with what it sends along changed."""
    gone = client.get("/login/openid?next=/workers")
    assert gone.status_code == 303, gone.text
    back = urlsplit(httpx2.get(gone.headers["location"]).headers["location"])
    assert provider.url in gone.headers["location"]
    return client.get(back.path, params={name: each[0] for name, each in parse_qs(back.query).items()} | changed)


def test_a_password_opens_a_session_that_ends_on_the_hub_too(hub: Any, visitor: httpx2.Client) -> None:
    assert visitor.get("/").status_code == 303
    opened = sign_in(visitor, name="eve", password=PASSWORD, next="/workers")
    assert (opened.status_code, opened.headers["location"]) == (303, "/workers")
    kept = opened.headers["set-cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=lax" in kept
    secret = visitor.cookies["hub_session"]
    assert "eve" in visitor.get("/").text
    assert secret.encode() not in (hub.house.settings.data_path / "hub.db").read_bytes()
    assert visitor.post("/logout").status_code == 303
    assert visitor.get("/", headers={"Cookie": f"hub_session={secret}"}).status_code == 303


def test_a_session_is_no_token_and_a_token_no_session(hub: Any, visitor: httpx2.Client) -> None:
    sign_in(visitor, name="eve", password=PASSWORD)
    secret = visitor.cookies["hub_session"]
    assert visitor.get(paths.MODELS, headers={"Authorization": f"Bearer {secret}"}).status_code == 401
    assert visitor.get(paths.MODELS).status_code == 401  # the API takes no cookies
    made = hub.house.access.create(HUB, CreateToken(name="ci", scope=Scope.READ))
    assert httpx2.get(f"{hub.url}/", headers={"Cookie": f"hub_session={made.secret}"}).status_code == 303


def test_over_https_the_cookie_is_held_to_this_host(visitor: httpx2.Client, hub: Any) -> None:
    https = {"X-Forwarded-Proto": "https", "Origin": hub.url.replace("http:", "https:")}
    opened = visitor.post("/login", data={"name": "eve", "password": PASSWORD}, headers=https)
    kept = opened.headers["set-cookie"]
    assert kept.startswith("__Host-hub_session=")
    assert "Secure" in kept
    assert "Path=/" in kept
    assert "Domain" not in kept


def test_neither_name_nor_password_is_told_to_be_wrong(hub: Any, visitor: httpx2.Client) -> None:
    hub.house.people.set_disabled(HUB, "mia", is_disabled=True)
    tries = (("eve", "wrong"), ("nobody", PASSWORD), ("mia", PASSWORD), ("eve\0", PASSWORD), ("eve", "x" * 5_000))
    answers = [sign_in(visitor, name=name, password=password) for name, password in tries]
    assert {answer.status_code for answer in answers} == {401}
    assert all("The name or the password is wrong." in answer.text for answer in answers)


def test_passwords_are_not_tried_without_end(hub: Any, visitor: httpx2.Client) -> None:
    for _ in range(sign_in_module.MOST_OF_USER - 1):
        hub.house.sign_ins._of_user.count("eve 127.0.0.1")
    assert sign_in(visitor, name="eve", password="wrong").status_code == 401
    refused = sign_in(visitor, name="eve", password=PASSWORD)
    assert refused.status_code == 429
    assert "minutes" in refused.text
    assert sign_in(visitor, name="mia", password=PASSWORD).status_code == 303


def test_a_session_ends_with_its_token_its_user_and_a_new_password(hub: Any, visitor: httpx2.Client) -> None:
    made = hub.house.access.create(HUB, CreateToken(name="ci", scope=Scope.READ))
    assert sign_in(visitor, token=made.secret).status_code == 303
    assert made.secret not in str(visitor.cookies)
    assert visitor.get("/").status_code == 200
    hub.house.access.revoke(HUB, made.token.id)
    assert visitor.get("/").status_code == 303
    for end in (
        lambda: hub.house.people.set_password(HUB, "eve", PASSWORD),
        lambda: hub.house.people.set_disabled(HUB, "eve", is_disabled=True),
    ):
        assert sign_in(visitor, name="eve", password=PASSWORD).status_code == 303
        assert visitor.get("/").status_code == 200
        end()
        assert visitor.get("/").status_code == 303


def test_who_comes_from_the_provider_becomes_a_user_and_stays_the_same(
    hub: Any, visitor: httpx2.Client, provider: Provider
) -> None:
    back = come_back(visitor, provider)
    assert (back.status_code, back.headers["location"]) == (303, "/workers")
    assert ">ada</a>" in visitor.get("/").text
    assert "hub_errand" not in visitor.cookies
    provider.claims = {"sub": "1", "preferred_username": "renamed"}
    come_back(visitor, provider)
    assert [user.name for user in hub.house.people.users(HUB)] == ["ada", "eve", "mia"]
    actions = [entry.action for entry in hub.house.audits.entries(HUB, actor="ada").items]
    assert actions.count("session.begin") == 2
    assert {"user.create", "user.link"} <= {*actions}


def test_nobody_gets_a_name_that_is_taken_or_has_models(hub: Any, visitor: httpx2.Client, provider: Provider) -> None:
    hub.house.people.add_organisation(HUB, "acme")
    for number, (wanted, got) in enumerate((("eve", "eve-2"), ("acme", "acme-2"), ("hub", "user-hub"), ("%", "user"))):
        provider.claims = {"sub": f"s{number}", "preferred_username": wanted}
        come_back(visitor, provider)
        assert f">{got}</a>" in visitor.get("/").text


@pytest.mark.parametrize(("is_verified", "name"), [(True, "mia"), (False, "somebody"), ("true", "somebody")])
def test_an_address_stands_for_a_user_only_where_it_is_verified(
    hub: Any, visitor: httpx2.Client, provider: Provider, is_verified: Any, name: str
) -> None:
    provider.claims = {"sub": "9", "preferred_username": "somebody", "email": "Mia@example.org"}
    provider.claims |= {"email_verified": is_verified}
    come_back(visitor, provider)
    assert f">{name}</a>" in visitor.get("/").text


def test_a_user_who_has_come_with_one_subject_is_not_taken_over_by_another(
    hub: Any, visitor: httpx2.Client, provider: Provider
) -> None:
    for subject, name in (("9", "mia"), ("10", "other")):
        provider.claims = {"sub": subject, "preferred_username": "other", "email": "mia@example.org"}
        provider.claims |= {"email_verified": True}
        come_back(visitor, provider)
        assert f">{name}</a>" in visitor.get("/").text


def test_a_disabled_user_does_not_come_in_by_the_provider(hub: Any, visitor: httpx2.Client, provider: Provider) -> None:
    come_back(visitor, provider)
    hub.house.people.set_disabled(HUB, "ada", is_disabled=True)
    refused = come_back(visitor, provider)
    assert refused.status_code == 401
    assert "kept out" in refused.text


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"aud": "another"},
        {"iss": "https://another.example"},
        {"exp": 1_700_000_000},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_opens_nothing(
    hub: Any, visitor: httpx2.Client, provider: Provider, lie: dict[str, Any]
) -> None:
    provider.lies = lie
    refused = come_back(visitor, provider)
    assert refused.status_code == 401
    assert "token does not hold" in refused.text
    assert "hub_session" not in visitor.cookies


def test_a_token_that_somebody_else_signed_opens_nothing(hub: Any, visitor: httpx2.Client, provider: Provider) -> None:
    provider.signs_with = RSAKey.generate_key(2048)
    assert come_back(visitor, provider).status_code == 401


def test_who_was_not_sent_does_not_come_back(hub: Any, visitor: httpx2.Client, provider: Provider) -> None:
    assert come_back(visitor, provider, state="another").status_code == 401
    assert come_back(visitor, provider, code="another").status_code == 401
    gone = visitor.get("/login/openid")
    back = urlsplit(httpx2.get(gone.headers["location"]).headers["location"])
    with httpx2.Client(base_url=hub.url) as other:  # another browser, which did not begin
        assert other.get(f"{back.path}?{back.query}").status_code == 401
        other.cookies.set("hub_errand", "a.b.c.%2F")
        assert other.get(f"{back.path}?{back.query}").status_code == 401
    refused = visitor.get(
        "/login/openid/back", params={"error": "access_denied", "state": parse_qs(back.query)["state"][0]}
    )
    assert refused.status_code == 401
    assert "access_denied" in refused.text


def test_a_provider_that_is_away_says_so(landlord: Any) -> None:
    landlord.pages = pages.routes
    hub = landlord.start(oidc_issuer="http://127.0.0.1:9", oidc_client_id="hub")
    answer = httpx2.get(f"{hub.url}/login/openid")
    assert answer.status_code == 503
    assert "127.0.0.1:9" not in answer.text


def test_nobody_is_sent_off_the_hub_after_the_provider(hub: Any, visitor: httpx2.Client, provider: Provider) -> None:
    gone = visitor.get("/login/openid?next=https://evil.example/")
    back = urlsplit(httpx2.get(gone.headers["location"]).headers["location"])
    assert visitor.get(f"{back.path}?{back.query}").headers["location"] == "/"
