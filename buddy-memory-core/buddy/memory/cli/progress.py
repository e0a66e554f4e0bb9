"""How far a long command is: a bar on the terminal, and the time that it took."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any, Protocol

from buddy.memory.cli.output import console


class HasRows(Protocol):
    """What ``Progress.update`` takes: a result that grows."""

    @property
    def rows(self) -> int:
        """Rows done so far."""
        ...


class Progress:
    """A context manager; the bar is on standard error, and only when that is a terminal.

    ``total`` is the number of rows that will come, or None when nobody knows; ``quiet`` shows
    no bar.
    """

    def __init__(self, what: str, total: int | None, *, quiet: bool = False) -> None:
        self._what, self._total = what, total
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._started = self._begun = monotonic()
        self._phase = what
        self.done = 0
        self.seconds = 0.0

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self._quiet:
            self._bar = _bar()
            self._task = self._bar.add_task(self._what, total=self._total, rate="")
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away."""
        self.seconds = round(monotonic() - self._started, 3)
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(self, so_far: HasRows) -> None:
        """Show how far it is; where it has phases, how far this one is."""
        self.done = so_far.rows
        what, passed = getattr(so_far, "phase", self._what), getattr(so_far, "passed", self.done)
        if what != self._phase:
            self._phase, self._begun = what, monotonic()
        total = getattr(so_far, "total", self._total)
        if self._bar is not None:
            seconds = monotonic() - self._begun
            rate = f"{passed / seconds:,.0f} rows/s" if passed and seconds else ""
            self._bar.update(self._task, description=what, completed=passed, total=total, rate=rate)

    def rate(self) -> str:
        """Return the time that it took, and the rows per second when there is one."""
        if self.seconds < 0.01 or not self.done:
            return f"{self.seconds:.2f} s"
        return f"{self.seconds:.2f} s ({self.done / self.seconds:,.0f} rows/s)"


def _bar() -> Any:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    rate = TextColumn("{task.fields[rate]}")
    times = TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*columns, rate, *times, console=console(stderr=True), transient=True)
