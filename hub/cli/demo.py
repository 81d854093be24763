"""``hub demo``: the main job on a hub of its own, each step's claim checked."""

from pathlib import Path
from typing import Annotated

import typer

from hub.cli.arguments import needs_extra


def demo(
    exit_after: Annotated[
        bool, typer.Option("--exit", help="Stop after the last step; exit code 0 if all held.")
    ] = False,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="A free one by default.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the hub's data here; a temporary folder by default.")
    ] = None,
) -> None:
    """Do the main job on a hub of its own.

    Starts a hub, trains a trunk with two heads, pushes, pulls, fine-tunes and predicts; then serves until Ctrl-C.
    """
    with needs_extra("server,worker,finetune,tensorboard", "hub demo"):
        import tensorboard  # noqa: F401 - what tf.summary writes with; TensorFlow does not bring it along

        from hub.cli.demonstrating import demonstrate

        all_held = demonstrate(port=port, data_dir=data_dir, keep_serving=not exit_after)
    raise typer.Exit(0 if all_held else 1)
