"""``hub ls``: which models there are."""

from typing import Annotated, Literal

import typer

from hub.cli.arguments import JsonOption
from hub.cli.output import put_json, put_rows, say, time_text


def ls(
    owner: Annotated[str | None, typer.Argument(metavar="OWNER", help="Only this owner's.")] = None,
    kind: Annotated[Literal["trunk", "head"] | None, typer.Option(help="Only this kind.")] = None,
    search: Annotated[str | None, typer.Option(metavar="Q", help="Only those with this in name or card.")] = None,
    json: JsonOption = False,
) -> None:
    """List models."""
    from hub.client.operations import Operations
    from hub.domain.manifest import Kind

    with Operations() as client:
        models = list(client.models(owner=owner, kind=Kind(kind) if kind else None, search=search))
    if json:
        put_json(models)
        return
    if not models:
        is_filtered = owner or kind or search
        say("No such models." if is_filtered else "No models. Publish one with: hub push DIR owner/name")
    put_rows(
        ("NAME", "KIND", "LATEST", "ALIASES", "CHANGED"),
        (
            (
                model.name + (" (private)" if model.is_private else ""),
                model.kind,
                f"@{model.latest}" if model.latest else "-",
                ", ".join(f"{alias}@{number}" for alias, number in sorted(model.aliases.items())) or "-",
                time_text(model.updated_at),
            )
            for model in models
        ),
    )
