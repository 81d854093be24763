"""Signing and checking: what needs the package ``cryptography``, which only those have who sign, check or run a hub.

Laws: only ECDSA over P-256 with SHA-256, whatever a key or a bundle says of itself; the same content signed again under
the same name gives the same bytes.
"""

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hub.domain.errors import InvalidAttestation, InvalidRequest
from hub.protocol.attestations import PAYLOAD_TYPE, Bundle, Statement

MAX_PEM_BYTES = 16_384
_PUBLIC_REMEDY = "Make one with: openssl ec -in release.pem -pubout -out release.pub"
_PRIVATE_REMEDY = "Make one with: openssl ecparam -genkey -name prime256v1 -noout -out release.pem"


def normal_key(pem: str) -> tuple[str, str]:
    """The PEM text of a public key in its one form, and its fingerprint.

    Raises:
        InvalidRequest: It is not the PEM of a public EC P-256 key.
    """
    text = _public(pem).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode(), hashlib.sha256(text).hexdigest()


def read_pem(path: Path) -> str:
    """The text of a PEM file.

    Raises:
        InvalidRequest: It is none.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(MAX_PEM_BYTES + 1)
    if len(data) > MAX_PEM_BYTES or not data.isascii():
        raise InvalidRequest(f"{path} is not a PEM file.")
    return data.decode()


class Signer:
    """Signs with the private key of a PEM file.

    Raises:
        InvalidRequest: It is not the PEM of a private EC P-256 key, or it is locked by a passphrase.
        OSError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._key = _private(path)
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = hashlib.sha256(public).hexdigest()

    def sign(self, statement: Statement) -> Bundle:
        """Attest to a statement."""
        payload = statement.payload()
        signature = self._key.sign(_encoded(payload), ECDSA(SHA256(), deterministic_signing=True))
        return Bundle.make(self.fingerprint, payload, signature)


def check(bundle: Bundle, pem: str, expected: Statement) -> None:
    """Refuse a bundle that a key did not sign, or that is not about what is expected.

    Raises:
        InvalidAttestation: It is one of these.
    """
    payload = bundle.payload
    try:
        _public(pem).verify(bundle.signature, _encoded(payload), ECDSA(SHA256()))
    except InvalidSignature as error:
        raise InvalidAttestation(
            "The attestation was not signed with the key that it names, or was changed since.",
            remedy="Sign it again with: hub push --sign KEY",
        ) from error
    Statement.parse(payload).require(expected)


def _encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _public(pem: str) -> EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem.encode("ascii", "replace"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequest("This is not a public key in PEM form.", remedy=_PUBLIC_REMEDY) from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidRequest("This is a public key of another kind than EC P-256.", remedy=_PRIVATE_REMEDY)
    return key


def _private(path: Path) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(read_pem(path).encode(), None)
    except TypeError as error:
        raise InvalidRequest(
            f"{path} is locked by a passphrase.", remedy=f"Unlock a copy: openssl ec -in {path} -out unlocked.pem"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidRequest(f"{path} is not a private key in PEM form.", remedy=_PRIVATE_REMEDY) from error
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise InvalidRequest(f"{path} is a key of another kind than EC P-256.", remedy=_PRIVATE_REMEDY)
    return key
