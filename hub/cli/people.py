"""``hub admin user`` and ``hub admin org``: who there is on a hub, said on the machine it runs on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hub.cli.arguments import JsonOption, needs_extra
from hub.cli.output import put_json, put_rows, say, time_text
from hub.cli.serve import DatabaseOption, DataDirOption, read_settings

users = typer.Typer(no_args_is_help=True, help="Users of the hub.", rich_markup_mode=None)
organisations = typer.Typer(no_args_is_help=True, help="Organisations and their members.", rich_markup_mode=None)

UserArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user, who owns the models NAME/….")]
OrganisationArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="The organisation, which owns the models NAME/….")
]
MemberArgument = Annotated[str, typer.Argument(metavar="USER", help="A user of the hub.")]


@contextmanager
def _people(data_dir: Path | None, database_url: str | None) -> Iterator[tuple[Any, Any]]:
    """The use cases about people, and the hub itself, in whose name they are done here."""
    with needs_extra("server", "hub admin"):
        from hub.domain.access import HUB
        from hub.maintenance import people

    with people(read_settings({"data_dir": data_dir, "database_url": database_url})) as found:
        yield found, HUB


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))


@users.command("add", epilog="Example: hub admin user add ada --email ada@example.org")
def add_user(
    name: UserArgument,
    admin: Annotated[bool, typer.Option("--admin", help="They may do everything on the hub.")] = False,
    email: Annotated[
        str | None, typer.Option(help="Their address; who signs in elsewhere with it, verified, is taken for them.")
    ] = None,
    no_password: Annotated[bool, typer.Option("--no-password", help="They sign in with OpenID only.")] = False,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Add a user; asks for the password, or reads it as a line from stdin."""
    password = None if no_password else _password()
    with _people(data_dir, database_url) as (people, hub):
        user = people.add_user(hub, name, is_admin=admin, email=email, password=password)
    say(f"{user.name} may sign in, and owns the models {user.name}/….")


@users.command("ls", epilog="Example: hub admin user ls")
def list_users(data_dir: DataDirOption = None, database_url: DatabaseOption = None, json: JsonOption = False) -> None:
    """List users."""
    with _people(data_dir, database_url) as (people, hub):
        found = people.users(hub)
    if json:
        put_json(found)
        return
    put_rows(
        ("NAME", "KIND", "E-MAIL", "SIGNS IN WITH", "CREATED", "DISABLED"),
        (
            (
                user.name,
                "admin" if user.is_admin else "user",
                user.email or "-",
                ", ".join(filter(None, ("password" if user.has_password else None, user.issuer))) or "-",
                time_text(user.created_at),
                time_text(user.disabled_at),
            )
            for user in found
        ),
    )


@users.command("passwd", epilog="Example: hub admin user passwd ada")
def set_password(name: UserArgument, data_dir: DataDirOption = None, database_url: DatabaseOption = None) -> None:
    """Replace a user's password; they have to sign in again."""
    with _people(data_dir, database_url) as (people, hub):
        people.set_password(hub, name, _password())
    say(f"{name} signs in with the new password from now on.")


@users.command("disable", epilog="Example: hub admin user disable ada")
def disable(
    name: UserArgument,
    undo: Annotated[bool, typer.Option("--undo", help="Let them in again.")] = False,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Keep a user out, with all their tokens; what they own stays."""
    with _people(data_dir, database_url) as (people, hub):
        people.set_disabled(hub, name, is_disabled=not undo)
    say(f"{name} is {'let in again' if undo else 'kept out; a running hub notices within seconds'}.")


@organisations.command("add", epilog="Example: hub admin org add acme")
def add_organisation(
    name: OrganisationArgument, data_dir: DataDirOption = None, database_url: DatabaseOption = None
) -> None:
    """Add an organisation; the models that have its name already are its own from now on."""
    with _people(data_dir, database_url) as (people, hub):
        people.add_organisation(hub, name)
    say(f"{name} has no members yet. Add one: hub admin org set {name} USER admin")


@organisations.command("ls", epilog="Example: hub admin org ls")
def list_organisations(
    data_dir: DataDirOption = None, database_url: DatabaseOption = None, json: JsonOption = False
) -> None:
    """List organisations."""
    with _people(data_dir, database_url) as (people, hub):
        found = people.organisations(hub)
    if json:
        put_json(found)
        return
    put_rows(("NAME", "CREATED"), ((each.name, time_text(each.created_at)) for each in found))


@organisations.command("members", epilog="Example: hub admin org members acme")
def list_members(
    name: OrganisationArgument,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """List an organisation's members."""
    with _people(data_dir, database_url) as (people, hub):
        found = people.members(hub, name)
    if json:
        put_json(list(found.items))
        return
    put_rows(("USER", "ROLE", "SINCE"), ((each.user, each.role, time_text(each.since)) for each in found.items))


@organisations.command("set", epilog="Example: hub admin org set acme ada write")
def set_member(
    name: OrganisationArgument,
    user: MemberArgument,
    role: Annotated[Literal["read", "write", "admin"], typer.Argument(metavar="ROLE", help="read, write or admin")],
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Give a user a role in an organisation."""
    from hub.domain.access import Scope

    with _people(data_dir, database_url) as (people, hub):
        people.set_member(hub, name, user, Scope(role))
    say(f"{user} has the role {role} in {name}.")


@organisations.command("remove", epilog="Example: hub admin org remove acme ada")
def remove_member(
    name: OrganisationArgument,
    user: MemberArgument,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Take a user's role in an organisation away."""
    with _people(data_dir, database_url) as (people, hub):
        people.remove_member(hub, name, user)
    say(f"{user} is no member of {name} any more.")
