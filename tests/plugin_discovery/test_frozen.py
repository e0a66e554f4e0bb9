"""Applications frozen by PyInstaller."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

from buddy.memory.entry_points import COMMANDS, GROUPS, PLUGINS


def test_the_hook_of_pyinstaller_collects_every_group() -> None:
    """Core's entry point leads PyInstaller to a hook that collects all groups of entry points."""
    found = entry_points(group="pyinstaller40", name="hook-dirs")
    (entry,) = [entry for entry in found if entry.value.startswith("buddy.memory")]
    (folder,) = entry.load()()
    hook = Path(folder, "hook-buddy.memory.py").read_text()
    for group in (*GROUPS.values(), PLUGINS, COMMANDS):
        assert f'"{group}"' in hook
