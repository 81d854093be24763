"""Arguments that several commands take, and their checks: what is not well-formed is wrong usage (exit code 2)."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import typer

from hub.domain.errors import ExtraMissing, InvalidName, InvalidRequest

_Parsed = TypeVar("_Parsed")


def _checked(parse: Callable[[str], _Parsed], text: str) -> _Parsed:
    try:
        return parse(text)
    except (InvalidName, InvalidRequest) as error:
        raise typer.BadParameter(str(error)) from error


def check_reference(text: str | None) -> str | None:
    """A reference of any form."""
    from hub.domain.names import parse_reference

    return text if text is None else str(_checked(parse_reference, text))


def check_model(text: str | None) -> str | None:
    """``owner/name``."""
    from hub.domain.names import ModelName

    return text if text is None else str(_checked(ModelName.parse, text))


def check_limit(text: str | None) -> str | None:
    """An owner or ``owner/name``."""
    from hub.domain.names import parse_limit

    return text if text is None else _checked(parse_limit, text)


def check_target(text: str) -> str:
    """``owner/name`` or ``owner/name:alias``."""
    from hub.domain.names import parse_reference

    reference = _checked(parse_reference, text)
    if reference.number or reference.digest or reference.interface:
        raise typer.BadParameter(f"{text} names a version. Write {reference.model} or {reference.model}:alias.")
    return str(reference)


def check_reason(text: str) -> str:
    """What people will read of a version that is withdrawn."""
    from hub.client.wording import worded
    from hub.protocol.schemas import Yank

    if not text.strip():
        raise typer.BadParameter("It is empty. Say what is wrong with the version, to those who use it.")
    return _checked(lambda reason: worded(Yank, reason=reason).reason, text)


def check_url(text: str) -> str:
    """A hub's address."""
    from hub.client.config import normal_url

    return _checked(normal_url, text)


def check_rate(text: str | None) -> float | None:
    """Bytes per second: ``10M``, ``500k``, ``1.5G``, in powers of 1000."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)(?:B(?:/s)?)?", text.strip())
    rate = float(found[1]) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[found[2]] if found else 0.0
    if rate <= 0:
        raise typer.BadParameter(f"{text!r} is no rate. Write bytes per second, such as 500k, 10M or 1.5G.")
    return rate


@contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Turn the import error of a package that an extra brings into the sentence that says how to install it.

    Raises:
        ExtraMissing: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "hub":
            raise
        raise ExtraMissing(
            f"{what} needs {error.name}, which is not installed.",
            remedy=f'Install it with: pip install "trunkhub[{extra}]"',
            package=error.name,
        ) from error


ReferenceArgument = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        callback=check_reference,
        help="owner/name, owner/name@7, owner/name:stable, owner/name~2 or owner/name@sha256:…",
    ),
]
ModelArgument = Annotated[str, typer.Argument(metavar="NAME", callback=check_model, help="owner/name")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RateOption = Annotated[
    str | None,
    typer.Option(
        "--limit-rate", metavar="RATE", help="Most bytes per second, all transfers together: 500k, 10M, 1.5G."
    ),
]
