"""From a file or from another database into a database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from buddy.memory.storage.record import Kind, Record
from buddy.memory.transfer import files, lines
from buddy.memory.transfer.errors import FileError, SourceError
from buddy.memory.transfer.loading import SHOWN, Loaded, Source, load
from buddy.memory.transfer.older import Older, check_exists
from buddy.memory.transfer.rows import counts, records
from buddy.memory.v2.db.base import MemoryDb

MAX_LINE = 64 * 1024 * 1024
"""The longest line that is read, in bytes; no backend stores a row of that size."""


def copy(
    source: MemoryDb, destination: MemoryDb, *, from_legacy: bool = False, **options: Any
) -> Loaded:
    """Bring every readable row of ``source`` into ``destination``; the other options are those of
    ``load``. Rows that are written meanwhile may be missed: copy again.

    With ``from_legacy``, bring the memories that older software left at the source, which is not
    changed. Raises SourceError when there is nothing of the kind, and UnsupportedError, before
    anything is written, when the source holds summaries and the destination keeps none.
    """
    if from_legacy:
        return _copy_older(source, destination, options)
    there = counts(source)
    if not any(there.values()):
        check_exists(source)
    if there[Kind.SUMMARY]:
        destination.count_summaries()  # Raises where summaries have no place.
    result = load(Source(lambda: records(source), ahead=True), destination, **options)
    # Rows may have come meanwhile: there are never fewer than none.
    result.unreadable = max(0, sum(there.values()) - result.rows)
    return result


def _copy_older(source: MemoryDb, destination: MemoryDb, options: dict[str, Any]) -> Loaded:
    older = Older(source)
    if not older.any() and not older.unreadable:
        check_exists(source)
        raise SourceError(
            "The source holds no memories of older software: its layout is current. Leave out "
            "--from-legacy (from_legacy=True)."
        )
    result = load(Source(older.read), destination, **options)
    result.unreadable = len(older.unreadable)
    result.unreadable_rows = [
        {"id": id, "reason": reason} for id, reason in list(older.unreadable.items())[:SHOWN]
    ]
    return result


def import_file(db: MemoryDb, name: str, **options: Any) -> Loaded:
    """Bring the rows of a file that ``export_file`` wrote into ``db``; options as for ``load``.

    ``-`` is standard input. A file that ends too early, or has a line that is no row, raises
    FileError with the number of the line: the rows before it are stored, and importing the
    repaired file continues.
    """
    return load(Source(lambda: file_records(name), files.is_kept(name)), db, **options)


def file_records(name: str) -> Iterator[Record]:
    """Yield the rows of a file. Raises FileError."""
    count = dict.fromkeys(Kind, 0)
    ended, number = False, 0
    with files.reading(name) as file:
        for number, line in files.lines(name, file, MAX_LINE):
            found = _parse(name, number, line)
            if found is None:
                continue
            if ended:
                raise FileError(name, "there is more after the last line of the export", number)
            if isinstance(found, Record):
                count[found.kind] += 1
                yield found
            else:
                _check_end(name, number, found, count)
                ended = True
    if not ended:
        raise FileError(
            name, "the file ends before the last line of the export: it was cut off", number + 1
        )


def _parse(name: str, number: int, line: bytes) -> Record | dict[str, Any] | None:
    try:
        if number == 1:
            lines.check_header(line)
            return None
        return lines.parse(line)
    except ValueError as error:
        raise FileError(name, str(error), number) from None


def _check_end(name: str, number: int, end: dict[str, Any], count: dict[Kind, int]) -> None:
    wanted = {"memories": count[Kind.MEMORY], "summaries": count[Kind.SUMMARY]}
    if end != wanted:
        raise FileError(
            name, f"the file should hold {end} and holds {wanted}: lines are lost", number
        )
