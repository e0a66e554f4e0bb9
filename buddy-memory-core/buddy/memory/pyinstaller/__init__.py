"""What PyInstaller asks for: the folder with the hook that brings every installed backend along."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """Return the folders of hooks (entry point ``hook-dirs`` of the group ``pyinstaller40``)."""
    return [str(Path(__file__).parent)]
