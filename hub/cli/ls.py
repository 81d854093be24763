"""``hub ls``: which models there are."""

from typing import Annotated, Literal

import typer

from hub.cli.arguments import JsonOption
from hub.cli.output import put_json, put_rows, say, time_text


def ls(
    owner: Annotated[str | None, typer.Argument(metavar="OWNER", help="Only this owner's.")] = None,
    kind: Annotated[Literal["trunk", "head"] | None, typer.Option(help="Only this kind.")] = None,
    search: Annotated[str | None, typer.Option(metavar="Q", help="Only those with this in name or card.")] = None,
    task: Annotated[str | None, typer.Option(help="Only those whose card names this task.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only those with this tag; may be repeated.")] = None,
    dtype: Annotated[str | None, typer.Option(help="Only those that take this dtype, such as float32.")] = None,
    input: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(metavar="SHAPE", help="Only those that take rows of this shape, such as 96x96x3.")
    ] = None,
    sort: Annotated[
        Literal["name", "updated", "pulls"],
        typer.Option(help="By name, or what changed last first, or what was pulled most lately."),
    ] = "name",
    json: JsonOption = False,
) -> None:
    """List models."""
    from hub.client.operations import Operations
    from hub.domain.manifest import Kind

    facets = {"task": task, "tag": tag, "dtype": dtype, "input": input}
    with Operations() as client:
        found = client.models(owner=owner, kind=Kind(kind) if kind else None, search=search, sort=sort, facets=facets)
        models = list(found)
    if json:
        put_json(models)
        return
    if not models:
        is_narrowed = any((owner, kind, search, *facets.values()))
        say("No such models." if is_narrowed else "No models. Publish one with: hub push DIR owner/name")
    put_rows(
        ("NAME", "KIND", "TASK", "LATEST", "ALIASES", "CHANGED"),
        (
            (
                model.name + (" (private)" if model.is_private else ""),
                model.kind,
                ", ".join(model.facets.get("task", ())) or "-",
                f"@{model.latest}" if model.latest else "-",
                ", ".join(f"{alias}@{number}" for alias, number in sorted(model.aliases.items())) or "-",
                time_text(model.updated_at),
            )
            for model in models
        ),
    )
