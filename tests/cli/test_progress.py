"""The bar shows how far a command is, in each of its phases."""

from __future__ import annotations

from typing import Any

from buddy.memory.cli.progress import Progress
from buddy.memory.transfer import Exported, Loaded


class Bar:
    """What the bar was told last."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}

    def update(self, task: None, **shown: Any) -> None:
        """Take it."""
        self.shown = shown

    def stop(self) -> None:
        """Nothing is to be taken away."""


def test_each_phase_has_its_own_measure() -> None:
    """Comparing and verifying move the bar, too; what is done counts the rows of the source."""
    progress, bar = Progress("copying", 10), Bar()
    progress._bar = bar
    progress.update(Loaded(memories=7, phase="verifying", passed=3, total=12))
    assert (bar.shown["description"], bar.shown["completed"]) == ("verifying", 3)
    assert bar.shown["total"] == 12
    assert progress.done == 7


def test_a_command_of_one_phase() -> None:
    """An export has no phases: what is done moves the bar."""
    progress, bar = Progress("exporting", 10), Bar()
    progress._bar = bar
    progress.update(Exported(memories=4))
    assert (bar.shown["description"], bar.shown["completed"]) == ("exporting", 4)
    assert bar.shown["total"] == 10
