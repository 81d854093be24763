"""``hub versions``: a model's versions."""

from hub.cli.arguments import JsonOption, ModelArgument
from hub.cli.output import put_json, put_rows, size_text, time_text


def versions(name: ModelArgument, json: JsonOption = False) -> None:
    """List a model's versions, newest first.

    Where their curves have a metric to compare them by, its last value is the last column.
    """
    from hub.cli.measuring import metric_head, metric_text, whole_list
    from hub.client.operations import Operations

    with Operations() as client:
        found = whole_list(client, name)
    if json:
        put_json(found)
        return
    # The metric is last, so that the columns before it stay where programs look for them.
    more = [metric_head(found.metric)] if found.metric else []
    put_rows(
        ("VERSION", "STATE", "INTERFACE", "SIZE", "ALIASES", "CREATED", "BY", "MESSAGE", *more),
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
                *([metric_text(found.metric, version.number)] if found.metric else []),
            )
            for version in found.items
        ),
    )
