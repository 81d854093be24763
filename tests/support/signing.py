"""Keys, and attestations as people and as attackers make them."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hub.domain.manifest import Draft
from hub.protocol.attestations import Statement
from hub.protocol.signing import Signer


class KeyPair:
    """A new EC P-256 key in two PEM files."""

    def __init__(self, folder: Path, name: str = "release") -> None:
        key = generate_private_key(SECP256R1())
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.private.write_bytes(secret)
        self.pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.public.write_text(self.pem)
        self.signer = Signer(self.private)

    def attest(self, model: str, draft: Draft) -> str:
        """The text of a bundle that stands for a draft."""
        return self.signer.sign(Statement.about(model, draft.content_digest(), draft.files)).text()


def edited(bundle: str, edit: Callable[[dict[str, Any]], None]) -> str:
    """A bundle with something changed in its JSON."""
    body = json.loads(bundle)
    edit(body)
    return json.dumps(body)


def restated(bundle: str, edit: Callable[[dict[str, Any]], None]) -> str:
    """A bundle with something changed in the statement that was signed; the signature stays."""

    def within(body: dict[str, Any]) -> None:
        statement = json.loads(b64decode(body["dsseEnvelope"]["payload"]))
        edit(statement)
        body["dsseEnvelope"]["payload"] = b64encode(json.dumps(statement).encode()).decode()

    return edited(bundle, within)
