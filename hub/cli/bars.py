"""Progress bars for a terminal: bytes, rate and time left where there are bytes to count, else a spinner.

Law: stages with bytes stay on the screen when they are over, the others go.
"""

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Display
from rich.text import Text

from hub.client.progress import Progress, Stage

_WORDS = {
    Stage.INSPECT: "Inspecting",
    Stage.HASH: "Hashing",
    Stage.UPLOAD: "Sending",
    Stage.VALIDATE: "The hub is validating",
    Stage.WAIT: "Preparing",
    Stage.DOWNLOAD: "Fetching",
    Stage.ASSEMBLE: "Checking",
}


class _Counted(ProgressColumn):
    """Another column, blank where there is nothing to count."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__()
        self._column = column

    def render(self, task: Task) -> RenderableType:
        return self._column.render(task) if task.total else Text("")


def new_display() -> Display:
    """A display on stderr, to be entered while something is going on."""
    counted = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), *map(_Counted, counted))
    return Display(*columns, console=Console(stderr=True))


class Bars:
    """Shows progress on a display."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._tasks: dict[Stage, TaskID] = {}

    def show(self, progress: Progress) -> None:
        """Bring the bar of a stage up to date."""
        words = f"{_WORDS[progress.stage]} {progress.note}".rstrip()
        if progress.stage not in self._tasks:
            self.finish()
            self._tasks[progress.stage] = self._display.add_task(words, total=progress.total or None)
        self._display.update(
            self._tasks[progress.stage], completed=progress.done, total=progress.total or None, description=words
        )

    def finish(self) -> None:
        """Take the stages without bytes off the screen."""
        for task in self._display.tasks:
            if not task.total:
                task.visible = False
