"""Progress bars, on stderr, the same for every command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from foreword.cli.app import notes

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


class Bar:
    """One running bar: call it to advance, `to` to set where it stands."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, steps: float = 1) -> None:
        """Advance by some steps."""
        self._progress.advance(self._task, steps)

    def to(self, done: float, total: float) -> None:
        """Set the position and the end, which may become known late."""
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def progress_bar(label: str, total: float | None = None) -> Iterator[Bar]:
    """Show a bar while the body runs.

    Args:
        label: what is being done.
        total: how many steps in all; None while that is unknown.
    """
    from rich.progress import MofNCompleteColumn

    with _progress(MofNCompleteColumn()) as progress:
        yield Bar(progress, progress.add_task(label, total=total))


@contextmanager
def loading() -> Iterator[Callable[[str, int, int], None]]:
    """Show what a model source is doing; the function it gives takes (what, done, total).

    Nothing is shown before the first report, so that a wrong name leaves its error alone.
    """
    from rich.progress import TaskProgressColumn

    with ExitStack() as shown:
        progress = _progress(TaskProgressColumn())
        bars: dict[str, Bar] = {}

        def report(what: str, done: int, total: int) -> None:
            if not bars:
                shown.enter_context(progress)
            if what not in bars:
                bars[what] = Bar(progress, progress.add_task(what, total=None))
            bars[what].to(done, total)

        yield report


def _progress(counter: ProgressColumn) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(),
        counter,
        TimeElapsedColumn(),
        console=notes,
    )
