"""Keys and attestations on both databases: they outlive what they should, and go with what they belong to."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.domain.attestations import PublicKey
from hub.domain.errors import Conflict
from hub.storage.catalog.catalog import Catalog
from hub.storage.catalog.engine import parse_url
from hub.storage.catalog.migrate import downgrade, migrate, newest_revision

KEY = PublicKey(fingerprint="a" * 64, name="release", pem="PEM", created_at=datetime(2026, 1, 2, tzinfo=UTC))
BUNDLE = '{"mediaType":"x"}'


def test_a_key_is_its_owners_alone(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.add_key("acme", KEY)
        tx.add_key("rival", KEY.model_copy(update={"name": "theirs"}))
    with catalog.read() as tx:
        assert tx.keys("acme") == [KEY]
        assert tx.key("rival", KEY.fingerprint).name == "theirs"
        assert tx.key("nobody", KEY.fingerprint) is None
    for again in (KEY, KEY.model_copy(update={"fingerprint": "b" * 64})):
        with catalog.begin() as tx, pytest.raises(Conflict):
            tx.add_key("acme", again)


def test_a_key_is_revoked_once_and_stays(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        tx.add_key("acme", KEY)
        assert tx.revoke_key("acme", KEY.fingerprint)
        assert not tx.revoke_key("acme", KEY.fingerprint)
        assert tx.keys("acme")[0].revoked_at is not None


def test_the_rule_of_an_owner_is_one_thing_or_the_other(catalog: Catalog) -> None:
    with catalog.begin() as tx:
        assert [tx.set_requires_signed("acme", value) for value in (False, True, True)] == [False, True, False]
        assert (tx.requires_signed("acme"), tx.requires_signed("rival")) == (True, False)
        assert tx.set_requires_signed("acme", False)
        assert not tx.requires_signed("acme")


def test_an_attestation_is_kept_once_and_goes_with_its_version(catalog: Catalog, make: Any) -> None:
    with catalog.begin() as tx:
        tx.add_key("acme", KEY)
        number = make.ready(tx, make.TRUNK, "one").number
        assert [tx.attest(make.TRUNK, number, KEY.fingerprint, BUNDLE, "ada") for _ in range(2)] == [True, False]
    with catalog.read() as tx:
        (found,) = tx.attestations(make.TRUNK, number)
    assert (found.key, found.bundle, found.created_by) == (KEY, {"mediaType": "x"}, "ada")
    with catalog.begin() as tx:
        tx.delete_version(make.TRUNK, number)
        assert tx.attestations(make.TRUNK, number) == []
        assert tx.keys("acme") == [KEY]


def test_a_push_keeps_its_attestation_until_it_is_completed(catalog: Catalog, make: Any) -> None:
    push = replace(make.push(), attestation=BUNDLE)
    with catalog.begin() as tx:
        tx.add_push(push)
        assert tx.push(push.id).attestation == BUNDLE
        assert tx.resume_push(replace(push, attestation=None)) == push.id
        assert tx.push(push.id).attestation is None


def test_what_was_there_before_stays_when_attestations_come_and_go(database_url: str, make: Any) -> None:
    url = parse_url(database_url)
    migrate(url)
    catalog = Catalog(database_url)
    with catalog.begin() as tx:
        number = make.ready(tx, make.TRUNK, "one").number
        push = make.push()
        tx.add_push(push)
        tx.add_key("acme", KEY)
        tx.attest(make.TRUNK, number, KEY.fingerprint, BUNDLE, "ada")
    catalog.close()
    assert downgrade(url, "0006-1") < "0006"
    assert migrate(url) == newest_revision()
    catalog = Catalog(database_url)
    with catalog.read() as tx:
        assert tx.version(make.TRUNK, number).number == 1
        assert tx.push(push.id).attestation is None
        assert (tx.attestations(make.TRUNK, number), tx.keys("acme")) == ([], [])
    catalog.close()
