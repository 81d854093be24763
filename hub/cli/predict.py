"""``hub predict``: call a version once."""

from typing import Annotated

import typer

from hub.cli.arguments import JsonOption, ReferenceArgument


def predict(
    reference: ReferenceArgument,
    signature: Annotated[
        str | None, typer.Option(metavar="S", help="serving_default, or the only one, where not given.")
    ] = None,
    input: Annotated[  # noqa: A002 - the option's public name
        str | None,
        typer.Option(
            metavar="JSON|@FILE|-",
            help="Nested lists, or an object of them by input name; a .json, .npy, .npz or image file; - reads stdin.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Call a version and print its outputs.

    An image file is resized to the input's size; where the input takes floats, they are from 0 to 1.
    """
    from hub.cli.predicting import print_outputs, read_input
    from hub.client.operations import Operations
    from hub.client.predict import Predictor
    from hub.domain.signatures import choose_signature

    with Operations() as client:
        predictor = Predictor(client)
        detail = predictor.detail(reference)
        chosen = choose_signature(detail.signatures, signature)
        outputs = predictor.call(detail.version, chosen, read_input(chosen, input))
    print_outputs(outputs, as_json=json)
