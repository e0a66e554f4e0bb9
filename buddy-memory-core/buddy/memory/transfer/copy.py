"""From one database into another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from buddy.memory.storage.record import Kind, Record
from buddy.memory.transfer.errors import SourceError
from buddy.memory.transfer.legacy_source import LegacySource, check_exists
from buddy.memory.transfer.loader import Source, load
from buddy.memory.transfer.result import SHOWN, Loaded
from buddy.memory.transfer.rows import counts, records
from buddy.memory.v2.db.base import MemoryDb


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
        return _copy_legacy(source, destination, options)
    there = counts(source)
    if not any(there.values()):
        check_exists(source)
    if there[Kind.SUMMARY]:
        destination.count_summaries()  # Raises where summaries have no place.
    skipped: list[int] = []

    def read() -> Iterator[Record]:
        skipped.clear()
        return records(source, skipped=skipped.append)

    total = sum(there.values())
    result = load(Source(read, ahead=True, total=total), destination, **options)
    result.unreadable = sum(skipped)
    return result


def _copy_legacy(source: MemoryDb, destination: MemoryDb, options: dict[str, Any]) -> Loaded:
    legacy = LegacySource(source)
    if not legacy.any() and not legacy.unreadable:
        check_exists(source)
        raise SourceError(
            "The source holds no memories of older software: its layout is current. Leave out "
            "--from-legacy (from_legacy=True)."
        )
    result = load(Source(legacy.read), destination, **options)
    result.unreadable = len(legacy.unreadable)
    result.unreadable_rows = [
        {"id": id, "reason": reason} for id, reason in legacy.unreadable[:SHOWN]
    ]
    return result
