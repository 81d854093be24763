"""What a client does with keys: sign what it pushes, and check who stands for what it has.

Law: without a key given by hand, the hub is believed which keys its owner has; with one, only that key.
"""

from pathlib import Path

import orjson

from hub.client.operations import Operations
from hub.domain.attestations import PublicKey
from hub.domain.errors import InvalidAttestation
from hub.domain.manifest import Draft, Manifest
from hub.domain.names import ModelName
from hub.domain.versions import Version
from hub.protocol.attestations import Bundle, Statement
from hub.protocol.signing import Signer, check, normal_key, read_pem

__all__ = ["Signer", "attestation", "signers"]


def attestation(signer: Signer, model: ModelName, draft: Draft) -> str:
    """The text of a bundle that stands for a draft under a name."""
    return signer.sign(Statement.about(str(model), draft.content_digest(), draft.files)).text()


def signers(client: Operations, version: Version, manifest: Manifest, key: Path | None) -> list[str]:
    """Who stands for a version: names and fingerprints of keys whose attestations hold; empty where nobody does.

    Args:
        client: The hub.
        version: The version.
        manifest: Its manifest, checked against its digest.
        key: The only public key that counts; the owner's keys that are not revoked where None.

    Raises:
        InvalidAttestation: An attestation by one of these keys does not hold, or there is none by ``key``.
        InvalidRequest: ``key`` is no public EC P-256 key in PEM form.
    """
    expected = Statement.about(version.model, manifest.content_digest(), manifest.files)
    trusted = _given(key) if key else _registered(client, version)
    found = []
    for each in client.attestations(version.model, version.number).items:
        bundle = Bundle.parse(orjson.dumps(each.bundle).decode())
        if bundle.fingerprint in trusted:
            check(bundle, trusted[bundle.fingerprint], expected)
            found.append(f"{each.key.name} ({bundle.fingerprint[:12]})")
    if key and not found:
        fingerprint = next(iter(trusted))[:12]
        raise InvalidAttestation(f"{version.reference} is not signed with {key} ({fingerprint}).")
    return found


def _given(path: Path) -> dict[str, str]:
    pem, fingerprint = normal_key(read_pem(path))
    return {fingerprint: pem}


def _registered(client: Operations, version: Version) -> dict[str, str]:
    keys: tuple[PublicKey, ...] = client.keys(ModelName.parse(version.model).owner).items
    return {key.fingerprint: key.pem for key in keys if key.revoked_at is None}
