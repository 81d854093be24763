"""Pushes are completed once; tokens are good until revoked or expired."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.domain.access import Scope, Token
from hub.domain.errors import (
    PushNotFound,
    TokenNotFound,
)
from hub.domain.names import parse_reference
from hub.storage.catalog.catalog import Catalog


def test_a_push_comes_back_and_remembers_what_it_became(catalog: Catalog, make: Any) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)
    with catalog.begin() as tx:
        assert tx.push(push.id) == push
        assert tx.push(push.id).created_at.utcoffset() == timedelta(0)
        tx.complete_push(push.id, 7)
    with catalog.read() as tx:
        assert tx.push(push.id).completed == parse_reference("acme/trunk@7")


def test_a_push_is_remembered_to_have_made_a_condition(catalog: Catalog, make: Any) -> None:
    plain, firm = make.push(), make.push()
    firm = replace(firm, draft=firm.draft.model_copy(update={"keeps_interface": True}))
    with catalog.begin() as tx:
        for push, number in ((plain, 1), (firm, 2)):
            tx.add_push(push)
            tx.complete_push(push.id, number)
    with catalog.read() as tx:
        assert tx.push(firm.id).draft == firm.draft
        assert [tx.keeps_interface(plain.model, number) for number in (1, 2, 3)] == [False, True, False]


def test_a_push_is_added_once(catalog: Catalog, make: Any) -> None:
    push = make.push()
    for is_added in (True, False):
        with catalog.begin() as tx:
            assert tx.add_push(push) is is_added


def test_a_push_that_nobody_began_is_not_found(catalog: Catalog, make: Any) -> None:
    push = make.push()
    with catalog.begin() as tx:
        for ask in (lambda: tx.push(push.id), lambda: tx.complete_push(push.id, 1)):
            with pytest.raises(PushNotFound, match=str(push.id)):
                ask()


def test_completing_a_push_waits_for_another_that_completes_it(catalog: Catalog, make: Any) -> None:
    push = make.push()
    with catalog.begin() as tx:
        tx.add_push(push)

    def complete(_: int) -> int:
        with catalog.begin() as tx:
            completed = tx.push(push.id).completed
            if completed and completed.number:
                return completed.number
            number = make.add(tx, make.TRUNK, "one").number
            tx.complete_push(push.id, number)
            return number

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(complete, range(8))) == {1}


def test_a_token_is_found_by_its_secret_until_it_is_revoked_or_expires(catalog: Catalog) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    token = Token(id="t1", name="laptop", scope=Scope.WRITE, created_at=at)
    expired = Token(id="t2", name="old", scope=Scope.READ, created_at=at, expires_at=at + timedelta(days=1))
    with catalog.begin() as tx:
        tx.add_token(token, "a" * 64)
        tx.add_token(expired, "b" * 64)
    with catalog.begin() as tx:
        assert tx.token_by_secret("a" * 64) == token
        assert tx.token_by_secret("b" * 64) is None
        assert tx.token_by_secret("c" * 64) is None
        assert tx.tokens() == [token, expired]
        tx.touch_token("t1", at + timedelta(hours=1))
        tx.revoke_token("t1")
        assert tx.token_by_secret("a" * 64) is None
        first = tx.tokens()[0]
        assert first.last_used_at == at + timedelta(hours=1)
        assert first.revoked_at
        tx.revoke_token("t1")
        assert tx.tokens()[0] == first
        with pytest.raises(TokenNotFound, match="t9"):
            tx.revoke_token("t9")
