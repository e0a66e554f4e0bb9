"""Stands for your driver: a JSON file that is read and replaced as a whole."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Content = dict[str, Any]


class JsonFile:
    """One file. Raises OSError, and ValueError when its content is no JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Content | None:
        """Return the content, or None when there is no file."""
        try:
            content: Content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        return content

    def write(self, content: Content) -> None:
        """Replace the file: whoever reads it meanwhile sees the old one or the new one."""
        draft = self.path.with_suffix(".new")
        with draft.open("w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def remove(self) -> None:
        """Remove the file, if there is one."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep all other threads and processes out of the folder, which must exist."""
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            fcntl.flock(folder, fcntl.LOCK_UN)
            os.close(folder)
