"""``hub show``: one version, with its report."""

from hub.cli.arguments import JsonOption, ReferenceArgument
from hub.cli.output import put_json


def show(reference: ReferenceArgument, json: JsonOption = False) -> None:
    """Show a version: signatures, report, lineage."""
    from hub.cli.showing import print_version
    from hub.client.operations import Operations

    with Operations() as client:
        version = client.resolve(reference)
        detail = client.version(version.model, version.number)
        model = client.model(version.model)
    if json:
        put_json({"model": model.model_dump(mode="json")} | detail.model_dump(mode="json"))
        return
    print_version(model, detail)
