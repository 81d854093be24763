"""Tokens that are none of the hub's: an address that sends many is not looked up any more, its neighbours are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hub.domain.access import HUB, Scope
from hub.domain.audit import Origin, asked_from
from hub.domain.errors import HubError, NotAvailable, Overloaded, Unauthorized
from hub.domain.secret import new_secret
from hub.protocol.schemas import CreateToken
from hub.services import principals
from hub.services.access import Access
from hub.services.rates import Rates
from hub.services.strangers import Strangers
from hub.storage.catalog import Catalog

MOST = 3


class CountingCatalog(Catalog):
    """Counts how often it is read."""

    reads = 0
    is_away = False

    @contextmanager
    def read(self) -> Iterator[Any]:
        self.reads += 1
        if self.is_away:
            raise NotAvailable("The database is away.")
        with super().read() as tx:
            yield tx


@pytest.fixture
def counting(catalog: Catalog) -> Iterator[CountingCatalog]:
    made = CountingCatalog(str(catalog.url))
    yield made
    made.close()


@pytest.fixture
def access(counting: CountingCatalog) -> Access:
    return Access(counting, "read", strangers=Strangers(Rates(0.01, MOST)))


def refused(access: Access, *, session: bool = False) -> type[HubError]:
    secret = new_secret()
    with pytest.raises(HubError) as told:
        access.authenticate(None, secret) if session else access.authenticate(f"Bearer {secret}")
    return type(told.value)


def test_past_the_rate_an_address_costs_no_look(access: Access, counting: CountingCatalog) -> None:
    with asked_from(Origin(address="203.0.113.7")):
        assert [refused(access) for _ in range(MOST + 2)] == [Unauthorized] * MOST + [Overloaded] * 2
        assert counting.reads == MOST
        assert refused(access, session=True) is Overloaded
    with asked_from(Origin(address="203.0.113.8")):
        assert refused(access, session=True) is Unauthorized


def test_the_caller_is_told_when_to_come_back(access: Access) -> None:
    for _ in range(MOST):
        refused(access)
    with pytest.raises(Overloaded, match="none of this hub's") as told:
        access.authenticate("Bearer nothing")
    assert 0 < told.value.facts["retry_after_s"] <= 100


def test_who_was_known_at_an_address_stays_welcome_there(
    access: Access, counting: CountingCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, late = (access.create(HUB, CreateToken(name=name, scope=Scope.READ)) for name in ("early", "late"))
    monkeypatch.setattr(principals, "KNOWN_FOR_S", -1.0)  # looked up each time
    for _ in range(MOST + 1):
        assert access.authenticate(f"Bearer {made.secret}").name == "early"
    for _ in range(MOST):
        assert refused(access) is Unauthorized
    assert access.authenticate(f"Bearer {made.secret}").name == "early"
    with pytest.raises(Overloaded):
        access.authenticate(f"Bearer {late.secret}")
    access.revoke(HUB, made.token.id)
    kinds = []
    for _ in range(2):
        with pytest.raises(HubError) as told:
            access.authenticate(f"Bearer {made.secret}")
        kinds.append(type(told.value))
    assert kinds == [Unauthorized, Overloaded]


def test_a_database_that_is_away_makes_nobody_a_stranger(access: Access, counting: CountingCatalog) -> None:
    made = access.create(HUB, CreateToken(name="ci", scope=Scope.READ))
    counting.is_away = True
    for _ in range(MOST + 1):
        with pytest.raises(NotAvailable):
            access.authenticate(f"Bearer {made.secret}")
    counting.is_away = False
    assert access.authenticate(f"Bearer {made.secret}").name == "ci"
