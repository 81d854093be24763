"""``hub login`` and ``hub whoami``: which hub, and as whom."""

import sys
from typing import Annotated, Any

import typer

from hub.cli.arguments import JsonOption, check_url
from hub.cli.output import put, put_json, say


def login(
    url: Annotated[str, typer.Argument(metavar="URL", callback=check_url, help="The hub's address.")],
    token: Annotated[
        str | None, typer.Option(envvar="HUB_TOKEN", help="The token; asked for where it is not given.")
    ] = None,
) -> None:
    """Keep a hub's address and your token.

    The token is readable by you alone; commands talk to that hub from now on.
    """
    from hub.client.config import save_credentials
    from hub.client.operations import Operations

    secret = token or _ask()
    with Operations(url, secret) as client:
        me = client.whoami()
    path = save_credentials(url, secret or None)
    say(f"{url}: {_describe(me)}. Kept in {path}.")


def whoami(json: JsonOption = False) -> None:
    """Tell which hub this is and who it thinks you are."""
    from hub.client.operations import Operations

    with Operations() as client:
        me = client.whoami()
        url = client.url
    if json:
        put_json({"url": url} | me.model_dump(mode="json"))
        return
    put(f"{_describe(me)} at {url} (hub {me.hub_version})")


def _ask() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(
        typer.prompt("Token (empty for none)", default="", show_default=False, hide_input=True, err=True)
    ).strip()


def _describe(me: Any) -> str:
    """Who the hub takes somebody for (`WhoAmI`), in words."""
    who = "nobody in particular" if me.is_anonymous else me.name
    what = f"{who}, who may {me.scope or 'do nothing'}"
    if me.roles is not None and not me.is_anonymous:
        what += f" ({', '.join(f'{owner}: {role}' for owner, role in sorted(me.roles.items()))})"
    return f"{what}, limited to {me.limit}" if me.limit else what
