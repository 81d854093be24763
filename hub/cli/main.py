"""The command line's entry: which commands there are, and how an error ends one.

Exit codes: 0 done, 1 refused by the hub, 2 wrong usage, 3 hub not reachable.
"""

import sys
from collections.abc import Callable

import typer

from hub.cli import admin, alias, token
from hub.cli.demo import demo
from hub.cli.diff import diff
from hub.cli.inspect import inspect
from hub.cli.lineage import lineage
from hub.cli.login import login, whoami
from hub.cli.ls import ls
from hub.cli.output import complain
from hub.cli.predict import predict
from hub.cli.pull import pull
from hub.cli.push import push
from hub.cli.rm import rm
from hub.cli.serve import serve
from hub.cli.show import show
from hub.cli.verify import verify
from hub.cli.versions import versions
from hub.cli.yank import yank
from hub.domain.errors import HubError, HubUnreachable, TransferFailed

REFUSED, UNREACHABLE = 1, 3

_COMMANDS: tuple[tuple[Callable[..., None], str], ...] = (
    (serve, "hub serve --data-dir ./hub-data --port 8460"),
    (demo, "hub demo --exit"),
    (login, "hub login https://hub.example.org --token thub_…"),
    (whoami, "hub whoami"),
    (inspect, "hub inspect ./export"),
    (push, "hub push ./export acme/resnet50:stable --message 'first version'"),
    (pull, "hub pull acme/resnet50:stable ./trunk"),
    (predict, "hub predict acme/resnet50 --input @cat.png"),
    (ls, "hub ls acme --kind trunk"),
    (show, "hub show acme/resnet50@7"),
    (versions, "hub versions acme/resnet50"),
    (lineage, "hub lineage acme/flowers-head@1"),
    (diff, "hub diff acme/resnet50@6 acme/resnet50@7"),
    (yank, "hub yank acme/resnet50@3 --reason 'wrong preprocessing'"),
    (rm, "hub rm acme/resnet50@3"),
    (verify, "hub verify acme/resnet50@7"),
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        import hub

        typer.echo(hub.__version__)
        raise typer.Exit


def _start(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Share, serve and reuse trained TensorFlow networks.

    Which hub: HUB_URL, else the one last logged in to. As whom: HUB_TOKEN, else the saved token.
    """


def _app() -> typer.Typer:
    app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.callback()(_start)
    for function, example in _COMMANDS:
        app.command(epilog=f"Example: {example}")(function)
    app.add_typer(alias.app, name="alias")
    app.add_typer(token.app, name="token")
    app.add_typer(admin.app, name="admin")
    return app


app = _app()


def main() -> None:
    """Run the command line; one of the hub's errors ends it with a sentence, a remedy and an exit code."""
    try:
        app(prog_name="hub")
    except HubError as error:
        complain(f"{error.detail} {error.inside}" if error.inside else error.detail, error.remedy)
        sys.exit(UNREACHABLE if isinstance(error, HubUnreachable | TransferFailed) else REFUSED)
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}." if error.filename else f"{error}.", None)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
