"""``hub push``: publish a SavedModel."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, RateOption, check_rate, check_reference, check_target


def push(
    path: Annotated[Path, typer.Argument(metavar="PATH", exists=True, file_okay=False, help="A SavedModel directory.")],
    name: Annotated[
        str, typer.Argument(metavar="NAME[:ALIAS]", callback=check_target, help="owner/name, or owner/name:alias")
    ],
    head_of: Annotated[
        str | None, typer.Option(metavar="REF", callback=check_reference, help="The trunk this is a head of.")
    ] = None,
    derived_from: Annotated[
        str | None,
        typer.Option("--from", metavar="REF", callback=check_reference, help="The version it was fine-tuned from."),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A Markdown file that describes the model.")
    ] = None,
    summaries: Annotated[
        Path | None,
        typer.Option(metavar="DIR", exists=True, file_okay=False, help="Event files of tf.summary: show their curves."),
    ] = None,
    message: Annotated[str, typer.Option(help="What is new in this version.")] = "",
    is_private: Annotated[bool, typer.Option("--private", help="Only people with a token see the model.")] = False,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY", exists=True, dir_okay=False, help="Sign it with this private key (EC P-256, PEM)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and hash, send nothing.")] = False,
    no_break: Annotated[
        bool, typer.Option("--no-break", help="Refuse to push what would break callers of the version before.")
    ] = False,
    limit_rate: RateOption = None,
    json: JsonOption = False,
) -> None:
    """Publish a SavedModel as a model's next version.

    Prints the new reference on stdout.
    """
    from hub.cli.progress import shown_progress
    from hub.cli.pushing import print_breaks, print_findings, print_outlook, print_pushed, read_card
    from hub.client.push import push as send
    from hub.domain.errors import BreaksCallers, InvalidModel

    rate = check_rate(limit_rate)
    try:
        with shown_progress() as progress:
            pushed = send(
                path,
                name,
                head_of=head_of,
                derived_from=derived_from,
                card=read_card(card),
                message=message,
                is_private=is_private or None,
                sign=sign,
                summaries=summaries,
                dry_run=dry_run,
                no_break=no_break,
                foreseen=print_outlook,
                limit_rate=rate,
                progress=progress,
            )
    except InvalidModel as error:
        print_findings(error)
        raise
    except BreaksCallers as error:
        print_breaks(error)
        raise
    print_pushed(pushed, as_json=json)
