"""``hub admin quota``: how much owners may keep."""

import re
from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put, put_json, put_rows, size_text
from hub.cli.serve import DatabaseOption, DataDirOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Limit how much owners may keep.", rich_markup_mode=None)
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def check_size(text: str) -> str:
    """Bytes, ``500M``, ``1.5T`` in powers of 1000, or ``none``."""
    if text != "none" and not re.fullmatch(r"\d{1,15}(\.\d{1,3})?[kMGT]?B?", text):
        raise typer.BadParameter(f"{text!r} is no size. Write bytes, such as 500M, 10G or 1.5T, or none.")
    return text


@app.command("set", epilog="Example: hub admin quota set acme 50G")
def set_quota(
    owner: Annotated[str, typer.Argument(help="The part of a model's name before the slash.")],
    size: Annotated[str, typer.Argument(metavar="SIZE|none", callback=check_size, help="500M, 10G, 1.5T, or none.")],
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """Limit what an owner may keep; a hub may be running, and what is over it stays."""
    with needs_extra("server", "hub admin quota"):
        from hub.maintenance import set_quota as limit

    found = re.fullmatch(r"([\d.]+)([kMGT]?)B?", size)
    limit_bytes = int(float(found[1]) * _UNITS[found[2]]) if found else None
    made = limit(read_settings({"data_dir": data_dir, "database_url": database_url}), owner, limit_bytes)
    if json:
        put_json(made)
    else:
        put(f"{made.owner} keeps {size_text(made.used_bytes)} of {_limit_text(made.limit_bytes)}")


@app.command("ls", epilog="Example: hub admin quota ls")
def ls(data_dir: DataDirOption = None, database_url: DatabaseOption = None, json: JsonOption = False) -> None:
    """List what owners keep and may keep."""
    with needs_extra("server", "hub admin quota"):
        from hub.maintenance import quotas

    found = quotas(read_settings({"data_dir": data_dir, "database_url": database_url}))
    if json:
        put_json(found)
        return
    rows = ((each.owner, size_text(each.used_bytes), _limit_text(each.limit_bytes)) for each in found)
    put_rows(("OWNER", "KEEPS", "MAY KEEP"), rows)


def _limit_text(limit_bytes: int | None) -> str:
    return "any amount" if limit_bytes is None else size_text(limit_bytes)
