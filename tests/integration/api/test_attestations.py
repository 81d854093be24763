"""Who stands for a version: what a hub takes as proof, what it refuses, and what people see of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.domain.access import HUB
from hub.domain.digests import digest_of
from hub.domain.errors import Conflict, InvalidRequest, KeyNotFound
from hub.domain.manifest import Draft
from hub.protocol import paths
from hub.protocol.attestations import AttestationList
from hub.protocol.schemas import BeginPush
from tests.support.signing import KeyPair, edited, restated

NAME = "acme/trunk"


@pytest.fixture
def key(tmp_path: Path) -> KeyPair:
    return KeyPair(tmp_path)


@pytest.fixture
def files(saved_model: Callable[..., bytes]) -> dict[str, bytes]:
    return {"saved_model.pb": saved_model(), "assets.extra/notes": b"notes"}


@pytest.fixture
def draft(files: dict[str, bytes], draft_of: Callable[..., Draft]) -> Draft:
    return draft_of(files)


@pytest.fixture
def keyed(hub: Any, key: KeyPair) -> Any:
    """A hub that knows the key."""
    hub.house.attestations.add_key(HUB, "acme", "release", key.pem)
    return hub


@pytest.fixture(scope="module")
def standing(whole_hubs: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, KeyPair]:
    """A hub that knows a key and refuses all that it is sent, so that one is enough."""
    key = KeyPair(tmp_path_factory.mktemp("keys"))
    whole_hubs["none"].house.attestations.add_key(HUB, "acme", "standing", key.pem)
    return whole_hubs["none"], key


def refusal(hub: Any, draft: Draft, attestation: str | None, *, name: str = NAME) -> dict[str, Any]:
    body = BeginPush(model=name, draft=draft, attestation=attestation).model_dump(mode="json")
    return hub.admin.problem("POST", paths.PUSHES, 422, json=body)


def signers(hub: Any, number: int = 1) -> AttestationList:
    answer = hub.admin.http.get(paths.attestations(NAME, number))
    assert answer.status_code == 200, answer.text
    return AttestationList.model_validate(answer.json())


def actions(hub: Any) -> list[str]:
    return [entry.action.value for entry in hub.house.audits.entries(HUB, limit=50).items]


def test_a_signed_push_is_a_signed_version(keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft) -> None:
    keyed.admin.push(NAME, files, attestation=key.attest(NAME, draft))
    (found,) = signers(keyed).items
    assert (found.key.name, found.key.fingerprint, found.created_by) == ("release", key.signer.fingerprint, "admin")
    assert found.bundle == json.loads(key.attest(NAME, draft)), "the same content signed again is the same bundle"
    assert {"key.add", "version.sign"} <= {*actions(keyed)}


def test_pushing_known_content_again_signs_it_once(
    keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft
) -> None:
    keyed.admin.push(NAME, files)
    assert signers(keyed).items == ()
    for _ in range(2):
        assert keyed.admin.push(NAME, files, attestation=key.attest(NAME, draft)).version.number == 1
    assert len(signers(keyed).items) == 1
    assert actions(keyed).count("version.sign") == 1


def test_a_version_may_be_signed_with_several_keys(
    keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft, tmp_path: Path
) -> None:
    second = KeyPair(tmp_path, "second")
    keyed.house.attestations.add_key(HUB, "acme", "second", second.pem)
    for pair in (key, second):
        keyed.admin.push(NAME, files, attestation=pair.attest(NAME, draft))
    assert [each.key.name for each in signers(keyed).items] == ["release", "second"]


def test_an_attestation_for_something_else_is_refused_before_a_byte_is_sent(
    keyed: Any, key: KeyPair, draft: Draft, files: dict[str, bytes], draft_of: Callable[..., Draft]
) -> None:
    other = draft_of(files | {"assets.extra/notes": b"other"})
    more = draft_of(files | {"assets.extra/more": b"more"})
    assert "other content" in str(refusal(keyed, other, key.attest(NAME, draft))["detail"]), "one file was changed"
    assert "other content" in str(refusal(keyed, more, key.attest(NAME, draft))["detail"]), "one file was added"
    assert "'acme/other'" in str(refusal(keyed, draft, key.attest("acme/other", draft))["detail"])
    keyed.house.attestations.add_key(HUB, "rival", "theirs", key.pem)
    replayed = refusal(keyed, draft, key.attest(NAME, draft), name="rival/trunk")
    assert "'acme/trunk', not for rival/trunk" in str(replayed["detail"])
    assert keyed.admin.http.get(paths.model(NAME)).status_code == 404


def test_the_attestation_of_one_version_is_none_of_the_next(
    keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft, draft_of: Callable[..., Draft]
) -> None:
    first = key.attest(NAME, draft)
    keyed.admin.push(NAME, files, attestation=first)
    taken = json.dumps(signers(keyed).items[0].bundle)
    assert refusal(keyed, draft_of(files | {"assets.extra/notes": b"2"}), taken)["code"] == "invalid-attestation"


def test_another_key_and_a_revoked_key_are_no_proof(keyed: Any, key: KeyPair, draft: Draft, tmp_path: Path) -> None:
    stranger = KeyPair(tmp_path, "stranger")
    unknown = refusal(keyed, draft, stranger.attest(NAME, draft))
    assert f"no key {stranger.signer.fingerprint[:12]}" in str(unknown["detail"])
    assert "hub admin key add acme" in str(unknown["remedy"])
    theirs = stranger.attest(NAME, draft)

    def claim(body: dict[str, Any]) -> None:
        body["verificationMaterial"]["publicKey"]["hint"] = key.signer.fingerprint

    assert "not signed with the key" in str(refusal(keyed, draft, edited(theirs, claim))["detail"])
    keyed.house.attestations.revoke_key(HUB, "acme", "release")
    assert "revoked" in str(refusal(keyed, draft, key.attest(NAME, draft))["detail"])


def test_what_was_changed_after_it_was_signed_is_no_proof(keyed: Any, key: KeyPair, draft: Draft) -> None:
    good = key.attest(NAME, draft)

    def swap(statement: dict[str, Any]) -> None:
        statement["predicate"]["resources"][0]["digest"] = "0" * 64

    assert "changed since" in str(refusal(keyed, draft, restated(good, swap))["detail"])
    assert "changed since" in str(refusal(keyed, draft, restated(good, lambda _: None))["detail"])


DEEP = "[" * 50_000 + "]" * 50_000
GARBAGE = {
    "nothing": "",
    "no JSON": "signed, honestly",
    "deep": DEEP,
    "deep inside": f'{{"mediaType": {DEEP}}}',
    "a list": "[]",
    "a number": "1e999",
    "no key": "{}",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_refused_with_a_sentence(standing: tuple[Any, KeyPair], draft: Draft, kind: str) -> None:
    problem = refusal(standing[0], draft, GARBAGE[kind])
    assert problem["code"] == "invalid-attestation"
    assert len(str(problem["detail"])) < 400


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mediaType",), "application/json"),
        (("dsseEnvelope", "payload"), "é"),
        (("dsseEnvelope", "payloadType"), "text/plain"),
        (("dsseEnvelope", "signatures"), []),
        (("dsseEnvelope", "signatures", 0, "sig"), "AAAA"),
        (("dsseEnvelope", "signatures", 0, "sig"), "A" * 10_000),
        (("verificationMaterial", "publicKey", "hint"), "x"),
        (("verificationMaterial", "tlogEntries"), [{}]),
    ],
)
def test_a_bundle_that_is_wrong_somewhere_is_refused(
    standing: tuple[Any, KeyPair], draft: Draft, path: tuple[Any, ...], value: Any
) -> None:
    def spoil(body: Any) -> None:
        for step in path[:-1]:
            body = body[step]
        body[path[-1]] = value

    hub, key = standing
    assert refusal(hub, draft, edited(key.attest(NAME, draft), spoil))["code"] == "invalid-attestation"


def test_a_huge_attestation_is_refused_by_its_size(standing: tuple[Any, KeyPair], draft: Draft) -> None:
    body = {"model": NAME, "draft": draft.model_dump(mode="json"), "attestation": "x" * ((12 << 20) + 1)}
    assert standing[0].admin.problem("POST", paths.PUSHES, 422, json=body)["code"] == "invalid-request"


def test_what_nobody_reads_in_a_bundle_is_not_kept(
    keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft
) -> None:
    more = edited(key.attest(NAME, draft), lambda body: body.update(more={"deep": [[[[1]]]]}))
    keyed.admin.push(NAME, files, attestation=more)
    assert "more" not in signers(keyed).items[0].bundle


def test_an_owner_may_take_signed_pushes_only(keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft) -> None:
    keyed.house.attestations.require_signed(HUB, "acme", True)
    problem = refusal(keyed, draft, None)
    assert ("takes signed pushes only" in str(problem["detail"]), "--sign" in str(problem["remedy"])) == (True, True)
    assert keyed.admin.push(NAME, files, attestation=key.attest(NAME, draft)).version.number == 1
    assert keyed.admin.push("other/trunk", files).version.number == 1, "another owner's rule is another"
    keyed.house.attestations.require_signed(HUB, "acme", False)
    assert keyed.admin.push(NAME, files).version.number == 1
    assert actions(keyed).count("key.require") == 2


@pytest.mark.parametrize("is_signed", [True, False])
def test_keys_and_rules_are_looked_at_again_when_a_push_completes(
    keyed: Any, key: KeyPair, files: dict[str, bytes], draft: Draft, is_signed: bool
) -> None:
    ticket = keyed.admin.begin(NAME, draft, attestation=key.attest(NAME, draft) if is_signed else None)
    contents = {digest_of(data): data for data in files.values()}
    for url, digest in zip(keyed.admin.places(ticket), ticket.missing, strict=True):
        assert keyed.admin.http.put(url, content=contents[digest]).status_code == 204
    if is_signed:
        keyed.house.attestations.revoke_key(HUB, "acme", key.signer.fingerprint)
    else:
        keyed.house.attestations.require_signed(HUB, "acme", True)
    problem = keyed.admin.problem("POST", paths.push_complete(str(ticket.push_id)), 422)
    assert problem["code"] == "invalid-attestation"
    assert keyed.admin.http.get(paths.versions(NAME)).status_code == 404, "nothing was published"


def test_keys_are_told_to_whoever_may_see_the_owner(
    start_hub: Callable[..., Any], key: KeyPair, files: dict[str, bytes]
) -> None:
    hub = start_hub(anonymous="read")
    hub.house.attestations.add_key(HUB, "acme", "release", key.pem)
    assert hub.nobody.http.get(paths.keys("acme")).status_code == 404
    assert hub.admin.http.get(paths.keys("acme")).json()["items"][0]["pem"] == key.pem
    hub.admin.push("acme/hidden", files, is_private=True)
    hidden, absent = hub.nobody.http.get(paths.keys("acme")), hub.nobody.http.get(paths.keys("nobo"))
    assert hidden.json()["detail"].replace("acme", "nobo") == absent.json()["detail"]
    hub.admin.push(NAME, files)
    assert hub.nobody.http.get(paths.keys("acme")).json()["requires_signed"] is False
    assert hub.nobody.http.get(paths.keys("A%00B")).status_code == 422


def test_what_is_no_key_and_what_is_known_already_is_not_registered(hub: Any, key: KeyPair, tmp_path: Path) -> None:
    add = hub.house.attestations.add_key
    for wrong in (
        "",
        "nonsense",
        key.private.read_text(),
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ):
        with pytest.raises(InvalidRequest, match="public key"):
            add(HUB, "acme", "release", wrong)
    with pytest.raises(InvalidRequest, match="printable"):
        add(HUB, "acme", "a\nb", key.pem)
    add(HUB, "acme", "release", key.pem)
    with pytest.raises(Conflict, match="registered for acme as 'release'"):
        add(HUB, "acme", "again", key.pem)
    with pytest.raises(Conflict, match="another key called 'release'"):
        add(HUB, "acme", "release", KeyPair(tmp_path, "other").pem)
    with pytest.raises(KeyNotFound, match="'nope'"):
        hub.house.attestations.revoke_key(HUB, "acme", "nope")
    hub.house.attestations.revoke_key(HUB, "acme", "release")
    with pytest.raises(Conflict, match="revoked for acme"):
        add(HUB, "acme", "again", key.pem)


def test_the_pages_say_who_signed(
    whole_hubs: dict[str, Any], key: KeyPair, files: dict[str, bytes], draft: Draft
) -> None:
    hub = whole_hubs["read"]
    hub.house.attestations.add_key(HUB, "acme", "release <b>", key.pem)
    hub.admin.push("acme/page", files)
    pages = "/acme/page", "/acme/page/versions/1"
    assert all("Not signed." in hub.nobody.http.get(page).text for page in pages)
    hub.admin.push("acme/page", files, attestation=key.attest("acme/page", draft))
    shown = f"{key.signer.fingerprint[:12]}</code>)"
    for page in pages:
        text = hub.nobody.http.get(page).text
        assert "Signed by <strong>release &lt;b&gt;</strong>" in text
        assert shown in text
    hub.house.attestations.revoke_key(HUB, "acme", "release <b>")
    for page in pages:
        text = hub.nobody.http.get(page).text
        assert "Signed by" not in text
        assert "was revoked" in text
