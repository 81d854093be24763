"""How commands print: data to stdout, prose to stderr, and nothing from a hub that could steer a terminal.

Laws: in a terminal people get aligned tables, elsewhere programs get tab-separated lines, whole and in the same order;
control characters in what a hub sent are never printed.
"""

import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import typer

_UNITS = ("B", "kB", "MB", "GB", "TB")


def complain(detail: str, remedy: str | None) -> None:
    """Say on stderr what went wrong and what to do."""
    typer.echo(f"error: {plain(detail)}", err=True)
    if remedy:
        typer.echo(plain(remedy), err=True)


def say(text: str) -> None:
    """Prose for people, on stderr."""
    typer.echo(plain(text), err=True)


def put(text: str) -> None:
    """Data, on stdout."""
    typer.echo(plain(text))


def put_json(value: Any) -> None:
    """Print pydantic models, or what JSON can hold, as indented JSON on stdout."""
    import orjson

    data = orjson.dumps(_jsonable(value), option=orjson.OPT_INDENT_2)
    typer.echo(data.decode())


def put_rows(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows on stdout: a table in a terminal, tab-separated lines without headers elsewhere."""
    cleaned = [[plain(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cleaned:
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(Text(plain(header)))
    for row in cleaned:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def plain(text: str) -> str:
    """``text`` without control characters other than line breaks and tabs."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char)[0] != "C")


def size_text(size: int) -> str:
    """Bytes for people: ``28.4 MB``."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}" if unit else f"{size} B"


def time_text(when: datetime | None) -> str:
    """A moment in local time; a dash where there is none."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M") if when else "-"


def _jsonable(value: Any) -> Any:
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return value
