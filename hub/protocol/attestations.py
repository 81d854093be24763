"""Attestations as they travel: the bundles of OpenSSF Model Signing, and what the hub says of them and of keys.

A bundle is a sigstore bundle around a DSSE envelope around an in-toto statement, which lists all files with sha256s.
``model_signing`` reads ours, and looks neither at the subject's name nor at further fields of the predicate. There they
say what they are bound to: the subject is ``owner/name``, ``trunkhub.content`` the digest of the version's content.

Laws: what is parsed here is bounded and says nothing by itself, until `hub.protocol.signing` checked it; fields that
nobody reads are dropped, so what is stored is what was understood.

Source: model-signing 1.1, predicate ``https://model_signing/signature/v1.0``; DSSE 1.0; sigstore bundle 0.3.
"""

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from hub.domain.attestations import MAX_BUNDLE_CHARS, Attestation, Fingerprint, PublicKey
from hub.domain.digests import Digest
from hub.domain.errors import InvalidAttestation
from hub.domain.manifest import MAX_FILES, MAX_PATH_CHARS, File

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_MAX_SIGNATURE_CHARS = 200
_REMEDY = "Sign it with: hub push --sign KEY"
_Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class KeyList(BaseModel):
    """The keys of an owner, revoked ones too; ``requires_signed`` where pushes without an attestation are refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    owner: str
    requires_signed: bool
    items: tuple[PublicKey, ...]


class AttestationList(BaseModel):
    """The attestations of a version, oldest first."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    items: tuple[Attestation, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class _KeyHint(_Part):
    hint: Fingerprint


class _Material(_Part):
    public_key: _KeyHint
    tlog_entries: Annotated[tuple[Any, ...], Field(max_length=0)] = ()


class _Signed(_Part):
    sig: Annotated[str, Field(max_length=_MAX_SIGNATURE_CHARS)]
    keyid: Literal[""] = ""


class _Envelope(_Part):
    payload: Annotated[str, Field(max_length=MAX_BUNDLE_CHARS)]
    payload_type: Literal["application/vnd.in-toto+json"] = PAYLOAD_TYPE
    signatures: Annotated[tuple[_Signed, ...], Field(min_length=1, max_length=1)]


class Bundle(_Part):
    """A sigstore bundle with one signature by a key that it names by fingerprint."""

    media_type: Literal["application/vnd.dev.sigstore.bundle.v0.3+json"] = (
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    )
    verification_material: _Material
    dsse_envelope: _Envelope

    @classmethod
    def make(cls, fingerprint: str, payload: bytes, signature: bytes) -> Self:
        """Wrap what was signed."""
        signed = _Signed(sig=b64encode(signature).decode())
        return cls(
            verification_material=_Material(public_key=_KeyHint(hint=fingerprint)),
            dsse_envelope=_Envelope(payload=b64encode(payload).decode(), signatures=(signed,)),
        )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a bundle somebody sent.

        Raises:
            InvalidAttestation: It is none, or too long.
        """
        if len(text) > MAX_BUNDLE_CHARS:
            raise InvalidAttestation(f"The attestation has {len(text):,} characters.", remedy=_REMEDY)
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _unreadable("no bundle of OpenSSF Model Signing", error) from error

    def text(self) -> str:
        """As it is stored and sent."""
        return self.model_dump_json(by_alias=True)

    @property
    def fingerprint(self) -> str:
        """The key it says it was signed with."""
        return self.verification_material.public_key.hint

    @property
    def payload(self) -> bytes:
        """What was signed: a statement.

        Raises:
            InvalidAttestation: It is not base64.
        """
        return _decoded(self.dsse_envelope.payload)

    @property
    def signature(self) -> bytes:
        """The signature over the payload.

        Raises:
            InvalidAttestation: It is not base64.
        """
        return _decoded(self.dsse_envelope.signatures[0].sig)


class _Subject(BaseModel):
    name: Annotated[str, Field(max_length=MAX_PATH_CHARS)]
    digest: dict[Literal["sha256"], _Hex]


class _Resource(BaseModel):
    name: Annotated[str, Field(max_length=MAX_PATH_CHARS)]
    algorithm: Literal["sha256"] = "sha256"
    digest: _Hex


class _Serialization(BaseModel):
    method: Literal["files"] = "files"
    hash_type: Literal["sha256"] = "sha256"
    allow_symlinks: Literal[False] = False
    ignore_paths: tuple[str, ...] = ()


class _Binding(BaseModel):
    content: Digest


class _Predicate(BaseModel):
    serialization: _Serialization = _Serialization()
    resources: Annotated[tuple[_Resource, ...], Field(max_length=MAX_FILES)]
    trunkhub: _Binding


class Statement(BaseModel):
    """An in-toto statement: these files are this model's, and all of this content."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    type: Literal["https://in-toto.io/Statement/v1"] = Field("https://in-toto.io/Statement/v1", alias="_type")
    subject: Annotated[tuple[_Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["https://model_signing/signature/v1.0"] = Field(
        "https://model_signing/signature/v1.0", alias="predicateType"
    )
    predicate: _Predicate

    @classmethod
    def about(cls, model: str, content: str, files: Iterable[File]) -> Self:
        """The one statement that stands for a content under a name; equal contents have equal statements."""
        ordered = sorted(files, key=lambda file: file.path.split("/"))
        resources = tuple(_Resource(name=file.path, digest=file.digest.removeprefix("sha256:")) for file in ordered)
        whole = hashlib.sha256(b"".join(bytes.fromhex(resource.digest) for resource in resources)).hexdigest()
        subject = _Subject(name=model, digest={"sha256": whole})
        return cls(subject=(subject,), predicate=_Predicate(resources=resources, trunkhub=_Binding(content=content)))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read what a bundle holds.

        Raises:
            InvalidAttestation: It is not a statement that is bound to a model and a content.
        """
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise _unreadable("not bound to a model and a content", error) from error

    def payload(self) -> bytes:
        """As it is signed."""
        return self.model_dump_json(by_alias=True).encode()

    def require(self, expected: Self) -> None:
        """Refuse a statement about anything else.

        Raises:
            InvalidAttestation: It is about another model, or about other files.
        """
        model, own = expected.subject[0].name, self.subject[0].name
        if own != model:
            raise InvalidAttestation(f"The attestation is for {own!r}, not for {model}.", remedy=_REMEDY)
        if self != expected:
            raise InvalidAttestation(f"The attestation is for other content of {model} than this.", remedy=_REMEDY)


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidAttestation("The attestation is not base64 where it should be.", remedy=_REMEDY) from error


def _unreadable(what: str, error: ValidationError) -> InvalidAttestation:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"][:6])[:100]
    reason = f"{place}: {first['msg']}" if place else str(first["msg"])
    return InvalidAttestation(f"The attestation is {what} ({reason[:200]}).", remedy=_REMEDY)
