"""Write a database into a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from buddy.memory.storage import clock
from buddy.memory.storage.record import Kind
from buddy.memory.storage.users import Nobody
from buddy.memory.transfer import files, jsonl_format
from buddy.memory.transfer.legacy_source import check_exists
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
    user_id: str | Nobody | None = None,
    progress: Callable[[Exported], object] = lambda so_far: None,
) -> Exported:
    """Write every row (of that user; of those without one: ``NOBODY``) into the file ``name``.

    ``-`` is standard output. A name that ends in .gz, .bz2, .xz or .zst is compressed. The file
    appears when it is complete. Raises FileError when it cannot be written, SourceError when the
    database was never made, and what the database raises.
    """
    result, expected = Exported(), sum(counts(db, user_id).values())
    if not expected:
        check_exists(db)
    with files.writing(name) as file:
        file.write(jsonl_format.header(clock.utc_now()).encode() + b"\n")
        for row in records(db, user_id):
            file.write(jsonl_format.row(row).encode() + b"\n")
            if row.kind is Kind.MEMORY:
                result.memories += 1
            else:
                result.summaries += 1
            if result.rows % EVERY == 0:
                progress(result)
        file.write(jsonl_format.end(result.memories, result.summaries).encode() + b"\n")
    # Rows may have come meanwhile: there are never fewer than none.
    result.unreadable = max(0, expected - result.rows)
    progress(result)
    return result
