"""Figures for people: bytes, counts and ages as text. Pure functions, used as template filters."""

import math
import re
from datetime import UTC, datetime

from markupsafe import Markup

_UNITS = ("kB", "MB", "GB", "TB")
_AGES = ((31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute"))
_MARKED = re.compile(r"(?::[a-z]+:)?`+([^`]+)`+")


def bytes_text(size: int) -> str:
    """``512 B``, ``3.4 MB``: decimal units, one digit after the point below 10."""
    if size < 1_000:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= 1_000
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"


def count_text(count: int) -> str:
    """``410,208``."""
    return f"{count:,}"


def plural(count: int, noun: str) -> str:
    """``1 head``, ``3 heads``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def age_text(then: datetime, now: datetime | None = None) -> str:
    """``2 hours ago``; ``just now`` below a minute (and for clocks that differ a little)."""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for length, unit in _AGES:
        if seconds >= length:
            return f"{plural(int(seconds // length), unit)} ago"
    return "just now"


def wait_text(seconds: float) -> str:
    """``45 seconds``, ``10 minutes``: how long something will take yet."""
    return plural(math.ceil(seconds), "second") if seconds <= 90 else plural(round(seconds / 60), "minute")


def time_text(when: datetime) -> str:
    """The exact time, ``2026-11-23 20:13:05 UTC``."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def short_digest(digest: str) -> str:
    """``9f1c4e0b7a5d``: the first twelve hex digits."""
    return digest.removeprefix("sha256:")[:12]


def value_text(value: float) -> str:
    """A value of a curve, ``0.1234`` or ``1.2e-05``: four figures."""
    return format(value, ".4g")


def doc_html(text: str) -> Markup:
    """A docstring for readers of pages: what it marks as code is code, what it names by role is its name."""
    pieces = _MARKED.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if at % 2 else piece for at, piece in enumerate(pieces)
    )
