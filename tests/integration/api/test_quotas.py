"""Quotas: what an owner may keep is counted to the byte, whatever is pushed and removed, on both databases."""

import os
import threading
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.domain.digests import digest_of
from hub.maintenance import deep_check, quotas, set_quota
from hub.protocol import paths

KB = 1_000


@pytest.fixture(params=["sqlite", "postgresql"])
def hub(request: pytest.FixtureRequest, start_hub: Callable):
    """A hub over each database."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    return start_hub(database_url=url)


@pytest.fixture
def model(saved_model: Callable[..., bytes]) -> Callable[..., dict[str, bytes]]:
    """Files of a model whose words are of a size; all share a file that makes up most of them."""
    shared = os.urandom(50 * KB)
    return lambda size: {"saved_model.pb": saved_model(), "assets/shared": shared, "assets/words": os.urandom(size)}


def kept(hub, owner: str = "acme") -> int:
    """What the hub says an owner keeps; that it is so is what a deep check says."""
    seen = deep_check(hub.house.settings)
    assert seen.flaws == ()
    return next(quota.used_bytes for quota in quotas(hub.house.settings) if quota.owner == owner)


def begin(hub, name: str, draft) -> dict:
    """The answer to the beginning of a push."""
    return hub.admin.http.post(paths.PUSHES, json={"model": name, "draft": draft.model_dump(mode="json")})


def test_what_is_kept_is_counted_once_and_given_back(hub, model):
    settings = hub.house.settings
    set_quota(settings, "acme", 10**6)
    first, second = model(10 * KB), model(20 * KB)
    hub.admin.push("acme/one", first)
    alone = kept(hub)
    assert 60 * KB < alone < 65 * KB  # with manifest and golden samples
    hub.admin.push("acme/two", second)
    assert 20 * KB < kept(hub) - alone < 25 * KB  # what both have is counted once
    hub.admin.push("other/one", first)
    assert kept(hub, "other") == pytest.approx(alone, abs=50)  # who has no limit is counted too; others keep their own
    hub.admin.http.delete(paths.version("acme/two", 1)).raise_for_status()
    assert kept(hub) == alone
    hub.admin.push("acme/two", second)
    hub.admin.http.delete(paths.model("acme/one")).raise_for_status()
    hub.admin.http.delete(paths.model("acme/two")).raise_for_status()
    assert kept(hub) == 0


def test_a_push_that_does_not_fit_is_refused_before_a_byte_is_sent(hub, model, draft_of):
    settings = hub.house.settings
    set_quota(settings, "acme", 100 * KB)
    hub.admin.push("acme/one", model(10 * KB))
    used = kept(hub)
    refused = begin(hub, "acme/two", draft_of(model(40 * KB)))
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (413, "quota-exceeded")
    assert problem["facts"] == {"limit_bytes": 100 * KB, "used_bytes": used, "push_bytes": 40 * KB}
    assert "0.100 MB" in problem["detail"]
    assert "hub admin quota set" in problem["remedy"]
    under_way = draft_of(model(20 * KB))
    assert begin(hub, "acme/two", under_way).status_code == 201
    assert begin(hub, "acme/two", under_way).status_code == 201  # the same push again is the same
    assert begin(hub, "acme/three", draft_of(model(20 * KB))).status_code == 413  # what is under way is counted
    assert begin(hub, "other/one", draft_of(model(200 * KB))).status_code == 201
    set_quota(settings, "acme", None)
    assert begin(hub, "acme/three", draft_of(model(200 * KB))).status_code == 201


def test_a_limit_that_was_lowered_meanwhile_holds_when_a_push_is_completed(hub, model, draft_of):
    files = model(10 * KB)
    ticket = hub.admin.begin("acme/one", draft_of(files))
    contents = {digest_of(data): data for data in files.values()}
    for digest in ticket.missing:
        hub.admin.http.put(paths.push_blob(str(ticket.push_id), digest), content=contents[digest]).raise_for_status()
    set_quota(hub.house.settings, "acme", 30 * KB)
    problem = hub.admin.problem("POST", paths.push_complete(str(ticket.push_id)), 413)
    assert problem["code"] == "quota-exceeded"
    assert hub.admin.http.get(paths.model("acme/one")).status_code == 404
    set_quota(hub.house.settings, "acme", 300 * KB)
    hub.admin.http.post(paths.push_complete(str(ticket.push_id))).raise_for_status()
    assert hub.admin.settled("acme/one", 1).version.state.value == "ready"
    assert kept(hub) > 60 * KB


def test_pushes_at_the_same_time_never_go_over_the_limit_together(hub, model, draft_of):
    set_quota(hub.house.settings, "acme", 100 * KB)
    answers: list[int] = []

    def push(name: str) -> None:
        answers.append(begin(hub, name, draft_of(model(30 * KB))).status_code)

    threads = [threading.Thread(target=push, args=(f"acme/m{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 413, 413, 413]  # the shared file and one model's words


def test_the_commands_set_and_list(start_hub: Callable, model):
    hub = start_hub()
    hub.admin.push("acme/one", model(10 * KB))
    place = ["--data-dir", str(hub.house.settings.data_path)]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["admin", "quota", *arguments, *place])
        return done.exit_code, done.stdout.splitlines(keepends=True)[-1] if done.stdout else ""

    assert run("set", "acme", "1.5G") == (0, f"acme keeps {kept(hub) / KB:.1f} kB of 1.5 GB\n")
    assert run("ls") == (0, f"acme\t{kept(hub) / KB:.1f} kB\t1.5 GB\n")
    assert run("set", "acme", "none")[1].endswith("of any amount\n")
    assert run("set", "acme", "much")[0] == 2
    assert [quota.limit_bytes for quota in quotas(hub.house.settings)] == [None]
