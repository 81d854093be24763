"""Attesting: whether somebody stands for what is pushed. No use case of its own, but a part of push.

Law: an attestation is checked when a push begins, before a byte is sent, and again in the transaction that publishes
it, against the keys and the rule of the owner as they are then; what was not checked there is not kept.
"""

from hub.domain.access import Principal
from hub.domain.attestations import PublicKey
from hub.domain.audit import Action
from hub.domain.errors import InvalidAttestation
from hub.domain.manifest import Draft
from hub.domain.names import ModelName
from hub.domain.versions import Version
from hub.protocol.attestations import Bundle, Statement
from hub.protocol.signing import check
from hub.storage.catalog import Transaction


def require_attested(tx: Transaction, name: ModelName, draft: Draft, attestation: str | None) -> PublicKey | None:
    """Refuse content whose attestation is no proof, or is missing where the owner wants one.

    Returns:
        The key that it was signed with; None where there is no attestation.

    Raises:
        InvalidAttestation: It is one of these.
    """
    if attestation is not None:
        return _signer(tx, name, draft, Bundle.parse(attestation))
    if tx.requires_signed(name.owner):
        raise InvalidAttestation(
            f"{name.owner} takes signed pushes only.", remedy="Sign it with a registered key: hub push --sign KEY"
        )
    return None


def attest(tx: Transaction, principal: Principal, version: Version, draft: Draft, attestation: str | None) -> None:
    """Keep the attestation of a version, where there is one.

    Raises:
        InvalidAttestation: It is no proof, or is missing where the owner wants one.
    """
    name = ModelName.parse(version.model)
    key = require_attested(tx, name, draft, attestation)
    if key is None or attestation is None:
        return
    bundle = Bundle.parse(attestation).text()
    if tx.attest(name, version.number, key.fingerprint, bundle, principal.name):
        facts = {"key": key.name, "fingerprint": key.fingerprint}
        tx.note(principal, Action.VERSION_SIGN, version.reference, facts)


def _signer(tx: Transaction, name: ModelName, draft: Draft, bundle: Bundle) -> PublicKey:
    key = tx.key(name.owner, bundle.fingerprint)
    short = bundle.fingerprint[:12]
    if key is None:
        remedy = f"Register it on the hub's machine: hub admin key add {name.owner} PUB.pem"
        raise InvalidAttestation(f"{name.owner} has no key {short} to check the attestation with.", remedy=remedy)
    if key.revoked_at is not None:
        raise InvalidAttestation(
            f"The key {key.name!r} ({short}) of {name.owner} was revoked.", remedy="Sign with another key."
        )
    check(bundle, key.pem, Statement.about(str(name), draft.content_digest(), draft.files))
    return key
