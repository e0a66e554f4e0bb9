"""Write a database into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from buddy.memory.storage import clock
from buddy.memory.storage.record import Kind
from buddy.memory.transfer import files, lines
from buddy.memory.transfer.older import check_exists
from buddy.memory.transfer.rows import counts, records
from buddy.memory.v2.db.base import MemoryDb

EVERY = 1_000
"""Rows between two calls of ``progress``."""


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


def export_file(
    db: MemoryDb,
    name: str,
    *,
    user_id: str | None = None,
    progress: Callable[[Exported], object] = lambda so_far: None,
) -> Exported:
    """Write every row (of that user) into the file ``name``, ``-`` for standard output.

    A name that ends in .gz, .bz2, .xz or .zst is compressed. The file appears when it is complete.
    Raises FileError when it cannot be written, SourceError when the database was never made, and
    what the database raises.
    """
    result, expected = Exported(), sum(counts(db, user_id).values())
    if not expected:
        check_exists(db)
    with files.writing(name) as file:
        file.write(lines.header(clock.utc_now()).encode() + b"\n")
        for row in records(db, user_id):
            file.write(lines.row(row).encode() + b"\n")
            if row.kind is Kind.MEMORY:
                result.memories += 1
            else:
                result.summaries += 1
            if result.rows % EVERY == 0:
                progress(result)
        file.write(lines.end(result.memories, result.summaries).encode() + b"\n")
    # Rows may have come meanwhile: there are never fewer than none.
    result.unreadable = max(0, expected - result.rows)
    progress(result)
    return result
