"""``hub serve``: API, dashboard and workers in one supervised process tree."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hub.cli.arguments import check_reference, needs_extra

DataDirOption = Annotated[Path | None, typer.Option(help="Folder of everything that has no address of its own.")]
DatabaseOption = Annotated[str | None, typer.Option(help="SQLAlchemy URL; SQLite in the folder by default.")]
StorageOption = Annotated[str | None, typer.Option(help="file:///… or s3://bucket/prefix?endpoint_url=…")]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="8460 by default; 0 takes a free one.")] = None,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    storage_url: StorageOption = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Worker processes; one per device found.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="Serve on this one (gpu:0, cpu:0); may be repeated.")] = None,
    preload: Annotated[
        list[str] | None, typer.Option(metavar="REF", help="Load this one before anybody asks; may be repeated.")
    ] = None,
    engine: Annotated[Literal["local"] | None, typer.Option(help="Where predictions run.")] = None,
    anonymous: Annotated[
        Literal["none", "read", "all"] | None,
        typer.Option(help="What people without a token may do; read on loopback, else none."),
    ] = None,
) -> None:
    """Start a hub.

    What is not given comes from HUB_… in the environment, then from defaults.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # our children are other programs; gRPC would warn of each
    with needs_extra("server,worker", "hub serve"):
        from hub.server import run

    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "database_url": database_url,
        "storage_url": storage_url,
        "workers": workers,
        "devices": tuple(device or ()) or None,
        "preload": tuple(check_reference(reference) for reference in preload or ()) or None,
        "engine": engine,
        "anonymous": anonymous,
    }
    run(read_settings(given))


def read_settings(given: dict[str, Any]) -> Any:
    """The server's settings, from options and then the environment; a wrong one is wrong usage."""
    from pydantic import ValidationError

    from hub.settings import Settings

    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        wrong = error.errors()[0]
        name = "_".join(str(part) for part in wrong["loc"]).upper()
        raise typer.BadParameter(f"HUB_{name}: {wrong['msg']}.") from error
