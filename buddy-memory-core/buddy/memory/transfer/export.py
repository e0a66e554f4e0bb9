"""Write a database into a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from buddy.memory.storage import clock
from buddy.memory.storage.record import Kind
from buddy.memory.storage.users import Nobody
from buddy.memory.transfer import files, jsonl_format
from buddy.memory.transfer.errors import FileError
from buddy.memory.transfer.legacy_source import check_exists
from buddy.memory.transfer.rows import counts, records
from buddy.memory.v2.db.base import MemoryDb

EVERY = 1_000
"""Rows between two calls of ``progress``."""


_HEADER_BYTES = 10_000
"""More than the first line of an export has."""


@dataclass
class Exported:
    """How much was written; ``unreadable`` rows of the database were left out, and logged."""

    memories: int = 0
    summaries: int = 0
    unreadable: int = 0

    @property
    def rows(self) -> int:
        """All rows that were written."""
        return self.memories + self.summaries


def _check_target(db: MemoryDb, name: str) -> None:
    """Raise FileError for a file that holds rows of the database."""
    data_files: tuple[Path, ...] = getattr(db, "data_files", tuple)()
    target = Path(name)
    if name == files.PIPE or not target.exists():
        data_files = tuple(file for file in data_files if file.resolve() == target.resolve())
    else:
        data_files = tuple(f for f in data_files if f.exists() and f.samefile(target))
    if data_files and name != files.PIPE:
        raise FileError(name, "belongs to the database that is exported: choose another name")


def _is_export(file: Path) -> bool:
    """Tell whether a file is an export, or empty."""
    try:
        with files.reading(str(file)) as opened:
            start = opened.readline(_HEADER_BYTES)
            return not start or bool(jsonl_format.read_header(start))
    except Exception:  # Whatever it is, it cannot be read as one.
        return False


def export_file(
    db: MemoryDb,
    name: str | os.PathLike[str],
    *,
    user_id: str | Nobody | None = None,
    force: bool = False,
    progress: Callable[[Exported], object] = lambda so_far: None,
) -> Exported:
    """Write every row (of that user; of those without one: ``NOBODY``) into the file ``name``.

    ``-`` is standard output. A name that ends in .gz, .bz2, .xz or .zst is compressed. The file
    appears when it is complete, and only its owner may read it. An existing file is replaced when
    it is an export, or with ``force``; a file of the database itself never is. Raises FileError
    when it cannot be written, SourceError when the database was never made, and what the database
    raises.
    """
    name = os.fspath(name)
    _check_target(db, name)
    result = Exported()
    if not any(counts(db, user_id).values()):
        check_exists(db)

    def skipped(rows: int) -> None:
        result.unreadable += rows

    with files.writing(name, lambda target: force or _is_export(target)) as file:
        file.write(jsonl_format.header(clock.utc_now()).encode() + b"\n")
        for row in records(db, user_id, skipped):
            file.write(jsonl_format.row(row).encode() + b"\n")
            if row.kind is Kind.MEMORY:
                result.memories += 1
            else:
                result.summaries += 1
            if result.rows % EVERY == 0:
                progress(result)
        file.write(jsonl_format.end(result.memories, result.summaries).encode() + b"\n")
    progress(result)
    return result
