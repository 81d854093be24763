"""The last administrator of an organisation, on every database: nobody takes the role away, not even two at once."""

import threading

import pytest

from hub.domain.access import HUB, Scope
from hub.domain.errors import HubError, LastAdministrator
from hub.services.people import People
from hub.storage.catalog.catalog import Catalog


@pytest.fixture
def people(catalog: Catalog) -> People:
    made = People(catalog)
    made.add_organisation(HUB, "acme")
    for name in ("ada", "bob"):
        made.add_user(HUB, name, is_admin=False, email=None, password=None)
        made.set_member(HUB, "acme", name, Scope.ADMIN)
    return made


def roles(people: People) -> dict[str, str]:
    return {member.user: member.role.value for member in people.members(HUB, "acme").items}


def test_one_goes_and_the_last_stays(people: People) -> None:
    people.set_member(HUB, "acme", "bob", Scope.READ)
    for act in (
        lambda: people.remove_member(HUB, "acme", "ada"),
        lambda: people.set_member(HUB, "acme", "ada", Scope.WRITE),
    ):
        with pytest.raises(LastAdministrator, match="ada is the last administrator of acme"):
            act()
    people.set_member(HUB, "acme", "ada", Scope.ADMIN)
    people.remove_member(HUB, "acme", "bob")
    assert roles(people) == {"ada": "admin"}


def test_who_is_kept_out_does_not_count_and_may_go(people: People) -> None:
    people.set_disabled(HUB, "bob", is_disabled=True)
    with pytest.raises(LastAdministrator):
        people.remove_member(HUB, "acme", "ada")
    people.remove_member(HUB, "acme", "bob")
    people.set_disabled(HUB, "ada", is_disabled=True)
    people.remove_member(HUB, "acme", "ada")
    assert roles(people) == {}


def test_two_who_remove_each_other_at_once_leave_one(people: People) -> None:
    told: list[HubError] = []

    def remove_ada() -> None:
        try:
            people.remove_member(HUB, "acme", "ada")
        except HubError as error:
            told.append(error)

    other = threading.Thread(target=remove_ada)
    with people.catalog.begin() as tx:
        tx.lock_members("acme")
        other.start()
        other.join(0.2)  # it looks and waits, or has not come so far: either way it may not see two
        tx.remove_member("acme", "bob")
    other.join()
    assert [type(error) for error in told] == [LastAdministrator]
    assert roles(people) == {"ada": "admin"}
