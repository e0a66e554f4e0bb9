"""From a file into a database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from buddy.memory.storage.record import Kind, Record
from buddy.memory.transfer import files, jsonl_format
from buddy.memory.transfer.checksums import key
from buddy.memory.transfer.errors import FileError
from buddy.memory.transfer.loader import Source, load
from buddy.memory.transfer.result import Loaded
from buddy.memory.v2.db.base import MemoryDb

MAX_LINE = 8 * 1024**3
"""The longest line that is read, in bytes: the largest row of any backend, every character of it
escaped. No less, or an export could not be imported."""


def import_file(db: MemoryDb, name: str | os.PathLike[str], **options: Any) -> Loaded:
    """Bring the rows of a file that ``export_file`` wrote into ``db``; options as for ``load``.

    ``-`` is standard input. A file that ends too early, has a line that is no row, or holds a row
    twice (the same kind, user and id), raises FileError with the number of the line: the rows
    before it are stored, and importing the repaired file continues.
    """
    file = os.fspath(name)
    return load(Source(lambda: file_records(file), files.is_kept(file)), db, **options)


def file_records(name: str) -> Iterator[Record]:
    """Yield the rows of a file; takes some 100 bytes of memory for each. Raises FileError."""
    with files.reading(name) as file:
        lines = files.lines(name, file, MAX_LINE)
        yield from _FileReader(name).records(lines)


class _FileReader:
    """Reads the lines of one file from the first to the last."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._version = 0
        self._count = dict.fromkeys(Kind, 0)
        self._keys: set[bytes] = set()
        self._ended = False

    def records(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[Record]:
        number = 0
        for number, line in lines:
            try:
                record = self._read(line)
            except ValueError as error:
                raise FileError(self._name, str(error), number) from None
            if record is not None:
                yield record
        if not self._ended:
            reason = "the file ends before the last line of the export: it was cut off"
            raise FileError(self._name, reason, number + 1)

    def _read(self, line: bytes) -> Record | None:
        """Return the row of a line; None of the first and of the last one. Raises ValueError."""
        if not self._version:
            self._version = jsonl_format.read_header(line)
            return None
        found = jsonl_format.parse(line, self._version)
        if self._ended:
            raise ValueError("there is more after the last line of the export")
        if not isinstance(found, Record):
            self._check_end(found)
            self._ended = True
            return None
        self._check_new(found)
        self._count[found.kind] += 1
        return found

    def _check_new(self, record: Record) -> None:
        name = key(record)
        if name in self._keys:
            user = "without a user" if record.user_id is None else f"of the user {record.user_id!r}"
            raise ValueError(f"the {record.kind.value} {record.id!r} {user} is in the file twice")
        self._keys.add(name)

    def _check_end(self, end: dict[str, Any]) -> None:
        holds = {"memories": self._count[Kind.MEMORY], "summaries": self._count[Kind.SUMMARY]}
        if end != holds:
            raise ValueError(f"the file should hold {end} and holds {holds}: lines are lost")
