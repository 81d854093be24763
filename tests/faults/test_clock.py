"""A hub whose clock is wrong: what is needed stays, and nothing young is deleted."""

import shutil
from collections.abc import Callable

import pytest

from hub.domain.digests import digest_of
from hub.protocol import paths
from hub.protocol.schemas import PushTicket
from tests.faults.conftest import flaws
from tests.faults.mortal import MortalHub, begun, nursery
from tests.integration.api.conftest import announce, write_saved_model
from tests.support.s3_servers import StoreUrl

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed"),
]


@pytest.mark.parametrize("shift", ["+2y", "-1h"])
def test_a_hub_that_starts_with_a_wrong_clock_and_comes_back_to_the_right_one_keeps_everything(
    mortal: Callable[..., MortalHub], shift: str
):
    hub = mortal()
    right = hub.nursery
    files = {"saved_model.pb": write_saved_model()}
    assert hub.push("acme/before", files) == "ready"
    hub.end()
    with nursery("faketime", "-f", shift) as wrong:
        hub.nursery = wrong
        hub.start()  # which sweeps at once
        assert hub.push("acme/before", files) == "ready"
        assert hub.push("acme/meanwhile", files | {"assets/more": b"more"}) == "ready"
        hub.end()
    hub.nursery = right
    hub.start()
    assert hub.push("acme/meanwhile", files | {"assets/more": b"more"}) == "ready"
    assert flaws(hub.settings) == []


@pytest.mark.parametrize("server", ["seaweedfs", "ceph"])
@pytest.mark.parametrize("shift", ["+2y", "-1h"])
def test_an_object_store_with_another_clock_is_named_as_the_reason_and_nothing_is_half(
    mortal: Callable[..., MortalHub],
    s3_store_url: StoreUrl,
    request: pytest.FixtureRequest,
    server: str,
    shift: str,
):
    hub = mortal(HUB_STORAGE_URL=s3_store_url(request.getfixturevalue(server), "http"), HUB_RELAY="true")
    right, files = hub.nursery, {"saved_model.pb": write_saved_model()}
    assert hub.push("acme/before", files) == "ready"
    hub.end()
    more, words = files | {"assets/words": b"words"}, digest_of(b"words")
    with nursery("faketime", "-f", shift) as wrong:
        hub.nursery = wrong
        hub.start()
        with hub.client() as client:
            [storage] = [check for check in client.get("/readyz").json()["checks"] if check["name"] == "storage"]
            ticket = PushTicket.model_validate(begun(client, "acme/more", announce(more)).json())
            put = client.put(paths.push_blob(str(ticket.push_id), words), content=b"words")
            got = client.get(paths.version_blob("acme/before", 1, digest_of(files["saved_model.pb"])))
            assert (storage["ok"], put.status_code, got.status_code) == (False, 503, 503)
            for problem in (storage, put.json(), got.json()):
                assert "Set this machine's clock or the store's" in problem["remedy"]
            assert client.get(paths.MODELS).status_code == 200
        hub.end()
    hub.nursery = right
    hub.start()
    assert hub.push("acme/more", more) == "ready"
    assert flaws(hub.settings) == []
