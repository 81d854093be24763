"""``hub admin key``: the public keys that signed pushes are checked against, on the hub's own machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put, put_json, put_rows, say, time_text
from hub.cli.serve import DatabaseOption, DataDirOption, read_settings

app = typer.Typer(no_args_is_help=True, help="Keys that signed pushes are checked against.", rich_markup_mode=None)
OwnerArgument = Annotated[str, typer.Argument(metavar="OWNER", help="The part of owner/name before the slash.")]


@app.command("add", epilog="Example: hub admin key add acme release.pub")
def add(
    owner: OwnerArgument,
    path: Annotated[
        Path, typer.Argument(metavar="PUB.pem", exists=True, dir_okay=False, help="A public EC P-256 key in PEM form.")
    ],
    name: Annotated[str | None, typer.Option(help="What people know it by; the file's name by default.")] = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """Let pushes to an owner's models be signed with a key; prints its fingerprint, the sha256 of the PEM file."""
    with needs_extra("server", "hub admin key"):
        from hub.domain.access import HUB
        from hub.maintenance import attestations
        from hub.protocol.signing import read_pem

    with attestations(read_settings({"data_dir": data_dir, "database_url": database_url})) as keys:
        key = keys.add_key(HUB, owner, path.stem if name is None else name, read_pem(path))
    if json:
        put_json(key)
        return
    say(f"{owner} may sign with {key.name}.")
    put(key.fingerprint)


@app.command("ls", epilog="Example: hub admin key ls acme")
def list_keys(
    owner: OwnerArgument, data_dir: DataDirOption = None, database_url: DatabaseOption = None, json: JsonOption = False
) -> None:
    """List an owner's keys, and say whether its pushes must be signed."""
    with needs_extra("server", "hub admin key"):
        from hub.domain.access import HUB
        from hub.maintenance import attestations

    with attestations(read_settings({"data_dir": data_dir, "database_url": database_url})) as keys:
        found = keys.keys(HUB, owner)
    if json:
        put_json(found)
        return
    put_rows(
        ("NAME", "FINGERPRINT", "ADDED", "REVOKED"),
        ((key.name, key.fingerprint, time_text(key.created_at), time_text(key.revoked_at)) for key in found.items),
    )
    say(f"{owner} takes signed pushes only." if found.requires_signed else f"{owner} takes unsigned pushes too.")


@app.command("revoke", epilog="Example: hub admin key revoke acme release")
def revoke(
    owner: OwnerArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name or fingerprint, from: hub admin key ls OWNER")],
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Let a key vouch for nothing any more, also not for what was signed with it before."""
    with needs_extra("server", "hub admin key"):
        from hub.domain.access import HUB
        from hub.maintenance import attestations

    with attestations(read_settings({"data_dir": data_dir, "database_url": database_url})) as keys:
        revoked = keys.revoke_key(HUB, owner, key)
    say(f"The key {revoked.name} of {owner} is revoked.")


@app.command("require", epilog="Example: hub admin key require acme on")
def require(
    owner: OwnerArgument,
    state: Annotated[Literal["on", "off"], typer.Argument(metavar="on|off")],
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Take signed pushes to an owner's models only, or unsigned ones too."""
    with needs_extra("server", "hub admin key"):
        from hub.domain.access import HUB
        from hub.maintenance import attestations

    with attestations(read_settings({"data_dir": data_dir, "database_url": database_url})) as keys:
        keys.require_signed(HUB, owner, state == "on")
    say(f"{owner} takes signed pushes only." if state == "on" else f"{owner} takes unsigned pushes too.")
