"""What can be wrong with a file or a destination, besides what databases raise."""

from __future__ import annotations

from buddy.memory.errors import MemoryDbError


class FileError(MemoryDbError, ValueError):
    """The file is none of ours, is torn, or cannot be read or written.

    ``line`` is the number of the line, counted from 1, or None for the file as a whole.
    """

    def __init__(self, name: str, reason: str, line: int | None = None) -> None:
        self.name, self.line = name, line
        place = "the pipe" if name == "-" else name
        place += "" if line is None else f", line {line}"
        super().__init__(f"{place}: {reason}", name, reason, line)


class SourceError(MemoryDbError):
    """There is nothing at the source to be copied, or not in the form that was asked for."""


class DestinationError(MemoryDbError):
    """The destination cannot take these rows as it is; nothing was written."""
