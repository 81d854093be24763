"""Names and references: what a person types to mean a model or one of its versions.

Laws: ``str(parse_reference(text))`` means the same as ``text``; a name never needs escaping in a URL or a path.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator

from hub.domain.digests import parse_digest
from hub.domain.errors import InvalidName

_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,94}[a-z0-9])?")
_ALIAS = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
RESERVED_OWNERS = frozenset(
    {
        "api",
        "v1",
        "v2",
        "hf",
        "healthz",
        "readyz",
        "metrics",
        "static",
        "settings",
        "workers",
        "login",
        "logout",
        "docs",
    }
)
_NAME_REMEDY = "Write owner/name with lower-case letters, digits, '.', '_' and '-', such as acme/resnet50."
_OWNER_REMEDY = "Write lower-case letters, digits, '.', '_' and '-', such as acme."
LATEST = "latest"
MAX_NUMBER = 999_999_999


def parse_owner(text: str) -> str:
    """Read the first part of ``owner/name``.

    Raises:
        InvalidName: It is not of that form, or a reserved word.
    """
    if not _PART.fullmatch(text) or ".." in text:
        raise InvalidName(f"{text[:120]!r} is not the name of an owner.", remedy=_OWNER_REMEDY)
    if text in RESERVED_OWNERS:
        raise InvalidName(f"{text!r} is a reserved word and cannot own models.", remedy="Choose another owner.")
    return text


def parse_limit(text: str) -> str:
    """Read an owner or ``owner/name``.

    Raises:
        InvalidName: It is neither.
    """
    return str(ModelName.parse(text)) if "/" in text else parse_owner(text)


@dataclass(frozen=True, slots=True, order=True)
class ModelName:
    """``owner/name``."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``owner/name``.

        Raises:
            InvalidName: It is not of that form, or the owner is a reserved word.
        """
        owner, slash, name = text.partition("/")
        if not slash or not _PART.fullmatch(owner) or not _PART.fullmatch(name) or ".." in text:
            raise InvalidName(f"{text[:120]!r} is not a model name.", remedy=_NAME_REMEDY)
        if owner in RESERVED_OWNERS:
            raise InvalidName(f"{owner!r} is a reserved word and cannot own models.", remedy="Choose another owner.")
        return cls(owner, name)


@dataclass(frozen=True, slots=True)
class Reference:
    """A model, and at most one way to choose its version.

    With none of them set it means the newest ready version.
    """

    model: ModelName
    number: int | None = None
    alias: str | None = None
    interface: int | None = None
    digest: str | None = None

    def __str__(self) -> str:
        if self.number is not None:
            return f"{self.model}@{self.number}"
        if self.alias is not None:
            return f"{self.model}:{self.alias}"
        if self.interface is not None:
            return f"{self.model}~{self.interface}"
        if self.digest is not None:
            return f"{self.model}@{self.digest}"
        return str(self.model)


def parse_alias(text: str) -> str:
    """Return ``text`` if it can name a version.

    Raises:
        InvalidName: It starts with a digit or has characters outside letters, digits, ``_ . -``.
    """
    if not _ALIAS.fullmatch(text):
        raise InvalidName(
            f"{text[:80]!r} is not an alias.", remedy="Start with a letter; then letters, digits, '_', '.', '-'."
        )
    return text


def parse_reference(text: str) -> Reference:
    """Read any form of reference.

    ``owner/name``, ``owner/name@7``, ``owner/name:stable``, ``owner/name~2``, ``owner/name@sha256:…``

    Raises:
        InvalidName: It is none of these.
    """
    if not isinstance(text, str):  # a model and a name in the wrong order, most of the time
        raise InvalidName(f"A {type(text).__name__} is not a reference.", remedy=_NAME_REMEDY)
    head, mark, rest = _split(text)
    model = ModelName.parse(head)
    if mark == "@" and rest.startswith("sha256:"):
        return Reference(model, digest=parse_digest(rest))
    if mark == ":":
        alias = parse_alias(rest)
        return Reference(model) if alias == LATEST else Reference(model, alias=alias)
    if not mark:
        return Reference(model)
    if not _NUMBER.fullmatch(rest):
        what = "version" if mark == "@" else "interface"
        raise InvalidName(f"{rest[:80]!r} is not a {what} number.", remedy=f"Write {model}{mark}1, for instance.")
    return Reference(model, number=int(rest)) if mark == "@" else Reference(model, interface=int(rest))


def _split(text: str) -> tuple[str, str, str]:
    found = re.search(r"[@:~]", text)
    if not found:
        return text, "", ""
    return text[: found.start()], found.group(), text[found.end() :]


def _name_text(text: str) -> str:
    try:
        return str(ModelName.parse(text))
    except InvalidName as error:
        raise ValueError(error.detail) from error


def _alias_text(text: str) -> str:
    try:
        return parse_alias(text)
    except InvalidName as error:
        raise ValueError(error.detail) from error


def _limit_text(text: str) -> str:
    try:
        return parse_limit(text)
    except InvalidName as error:
        raise ValueError(error.detail) from error


def _plain_text(text: str) -> str:
    if _UNSTORABLE.search(text):
        raise ValueError("a text cannot have NUL characters or halves of surrogate pairs")
    return text


ModelNameText = Annotated[str, AfterValidator(_name_text)]
LimitText = Annotated[str, AfterValidator(_limit_text)]
AliasText = Annotated[str, AfterValidator(_alias_text)]
PlainText = Annotated[str, AfterValidator(_plain_text)]
"""Text that every database can hold."""
