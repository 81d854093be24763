"""Run a module locked in: ``python -m hub.runtime.locked --sandbox auto --home DIR MODULE …``. Free of TensorFlow.

Law: the process is locked before the module is imported, so before TensorFlow starts its first thread.
"""

import argparse
import os
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import structlog

from hub.domain.errors import NotAvailable
from hub.runtime.reporting import report_to_engine
from hub.runtime.sandbox import Access, Mode, lock_down

_log = structlog.get_logger()


def command(mode: Mode, home: Path, reads: Sequence[Path], *, has_gpu: bool) -> list[str]:
    """The arguments of Python that run what follows locked in; see ``Access``."""
    options = ["-m", "hub.runtime.locked", "--sandbox", mode, "--home", str(home)]
    for path in reads:
        options += ["--read", str(path)]
    return [*options, "--gpu"] if has_gpu else options


def main() -> None:
    """Lock this process, then be the module."""
    parser = argparse.ArgumentParser(prog="hub.runtime.locked", description="Run a module locked in.")
    parser.add_argument("--sandbox", choices=get_args(Mode), required=True)
    parser.add_argument("--home", type=Path, required=True, help="a folder of its own, to work in")
    parser.add_argument("--read", type=Path, action="append", default=[], help="what it may read")
    parser.add_argument("--gpu", action="store_true", help="it computes on a GPU")
    parser.add_argument("module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    report_to_engine()
    try:
        level = lock_down(options.sandbox, Access(tuple(options.read), (options.home,), has_gpu=options.gpu))
    except NotAvailable as error:
        _log.error("sandbox.unable", detail=error.detail)
        sys.exit(1)
    _log.debug("sandbox.entered", holds=str(level))
    os.chdir(options.home)
    sys.argv[1:] = options.arguments
    runpy.run_module(options.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
