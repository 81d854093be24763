"""``hub token``: the secrets that prove who asks."""

from typing import Annotated, Literal

import typer

from hub.cli.arguments import JsonOption, check_limit
from hub.cli.output import put, put_json, put_rows, say, time_text

_DAY_S = 86_400
app = typer.Typer(no_args_is_help=True, help="Tokens: who may do what.", rich_markup_mode=None)


@app.command("create", epilog="Example: hub token create training-job --scope write --days 30")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    scope: Annotated[Literal["read", "write", "admin"], typer.Option(help="What it may do; read includes predict.")],
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER|OWNER/NAME",
            callback=check_limit,
            help="It changes, and sees private models of, only this.",
        ),
    ] = None,
    service: Annotated[
        bool, typer.Option("--service", help="One of the hub's own, not yours; administrators make these.")
    ] = False,
    days: Annotated[int | None, typer.Option(min=1, max=3_660, help="Until it expires; never where not given.")] = None,
    json: JsonOption = False,
) -> None:
    """Make a token; prints its secret, which is never shown again."""
    from hub.client.operations import Operations
    from hub.domain.access import Scope

    with Operations() as client:
        created = client.create_token(
            name, Scope(scope), limit=limit, is_service=service, expires_in_s=days * _DAY_S if days else None
        )
    if json:
        put_json(created)
        return
    inside = f" in {limit}" if limit else ""
    say(f"Token {created.token.id} for {name}, who may {scope}{inside}. Keep the secret; it is not shown again.")
    put(created.secret)


@app.command("ls", epilog="Example: hub token ls")
def list_tokens(json: JsonOption = False) -> None:
    """List your tokens, or all where you are an administrator; without their secrets."""
    from hub.client.operations import Operations

    with Operations() as client:
        tokens = client.tokens().items
    if json:
        put_json(list(tokens))
        return
    put_rows(
        ("ID", "NAME", "SCOPE", "USER", "LIMIT", "CREATED", "EXPIRES", "LAST USED", "REVOKED"),
        (
            (
                token.id,
                token.name,
                token.scope,
                token.user or "-",
                token.limit or "-",
                time_text(token.created_at),
                time_text(token.expires_at),
                time_text(token.last_used_at),
                time_text(token.revoked_at),
            )
            for token in tokens
        ),
    )


@app.command("revoke", epilog="Example: hub token revoke 1f9a0c")
def revoke(token_id: Annotated[str, typer.Argument(metavar="ID", help="From: hub token ls")]) -> None:
    """Make a token worthless at once."""
    from hub.client.operations import Operations

    with Operations() as client:
        client.revoke_token(token_id)
    say(f"Token {token_id} is revoked.")
