"""``hub versions``: a model's versions."""

from hub.cli.arguments import JsonOption, ModelArgument
from hub.cli.output import put_json, put_rows, size_text, time_text


def versions(name: ModelArgument, json: JsonOption = False) -> None:
    """List a model's versions, newest first."""
    from hub.client.operations import Operations

    with Operations() as client:
        found = list(client.versions(name))
    if json:
        put_json(found)
        return
    put_rows(
        ("VERSION", "STATE", "INTERFACE", "SIZE", "ALIASES", "CREATED", "BY", "MESSAGE"),
        (
            (
                version.reference,
                version.state,
                f"~{version.interface}" if version.interface else "-",
                size_text(version.size),
                ", ".join(version.aliases) or "-",
                time_text(version.created_at),
                version.created_by,
                version.message or version.yanked_reason or "-",
            )
            for version in found
        ),
    )
