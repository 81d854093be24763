"""Progress in a terminal: a bar with bytes, rate and time left on stderr; silent where stderr is no terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hub.client.progress import ProgressSink, silent


@contextmanager
def shown_progress() -> Iterator[ProgressSink]:
    """What to hand to a push or a pull so that its progress is seen."""
    if not sys.stderr.isatty():
        yield silent
        return
    from hub.cli.bars import Bars, new_display

    with new_display() as display:
        bars = Bars(display)
        yield bars.show
        bars.finish()
