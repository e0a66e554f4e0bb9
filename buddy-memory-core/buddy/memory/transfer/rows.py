"""Databases as streams of records, whatever their rows look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from buddy.memory.errors import UnsupportedError
from buddy.memory.rows import MemoryRow, SummaryRow
from buddy.memory.storage import clock
from buddy.memory.storage.record import Kind, Record
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.storage.users import NOBODY, Nobody
from buddy.memory.storage.validation import check_scope
from buddy.memory.v2.db.base import MemoryDb


def counts(db: MemoryDb, user_id: str | Nobody | None = None) -> dict[Kind, int]:
    """Return the number of rows of each kind (of that user), unreadable ones included."""
    try:
        summaries = db.count_summaries(user_id)
    except UnsupportedError:
        summaries = 0
    return {Kind.MEMORY: db.count_memories(user_id), Kind.SUMMARY: summaries}


def records(
    db: MemoryDb,
    user_id: str | Nobody | None = None,
    skipped: Callable[[int], object] = lambda rows: None,
) -> Iterator[Record]:
    """Yield every readable row (of that user), memories first, each kind in order of writing.
    ``skipped`` is told how many unreadable ones were passed."""
    if isinstance(db, StoreBackedContract):
        for kind in Kind:
            yield from db.iter_records(kind, check_scope(user_id), skipped)
        return
    # Such a database tells by its counts alone. Rows may come meanwhile, and none of them ends.
    missing = sum(counts(db, user_id).values())
    for row in _rows(db, user_id):
        missing -= 1
        yield record(row)
    skipped(max(0, missing))


def _rows(db: MemoryDb, user_id: str | Nobody | None) -> Iterator[MemoryRow | SummaryRow]:
    yield from db.iter_memories(user_id, "asc")
    try:
        summaries = db.iter_summaries(user_id, "asc")
    except UnsupportedError:
        return
    yield from summaries


def record(row: MemoryRow | SummaryRow) -> Record:
    """Return a row that was read as a record; what a plugin leaves out gets a value."""
    is_memory = isinstance(row, MemoryRow)
    created = row.created_at or row.last_updated or clock.utc_now()
    return Record(
        Kind.MEMORY if is_memory else Kind.SUMMARY,
        row.user_id,
        row.id or "",
        row.memory if isinstance(row, MemoryRow) else row.summary,
        created,
        row.last_updated or created,
        row.version or 1,
        row.expires_at,
    )


def keeps_ends_and_vectors(db: MemoryDb) -> bool:
    """Tell whether ``db`` takes the ends and vectors of records."""
    return isinstance(db, StoreBackedContract)


def write(db: MemoryDb, batch: Sequence[Record], *, over: bool = False) -> list[Record]:
    """Store records of one kind that are new in ``db``; return what is stored, in order.

    With ``over`` also in the place of rows that are there, and always where ``db`` has no Store.
    """
    if isinstance(db, StoreBackedContract):
        return db.overwrite_records(batch) if over else db.restore_records(batch)
    if batch[0].kind is Kind.MEMORY:
        return [record(row) for row in db.upsert_memories(map(_memory, batch))]
    return [record(row) for row in db.upsert_summaries(map(_summary, batch))]


def read_record(db: MemoryDb, item: Record) -> Record | None:
    """Return what ``db`` has under the key of a record, or None."""
    if isinstance(db, StoreBackedContract):
        return db.read_record(item.kind, item.key)
    user = NOBODY if item.user_id is None else item.user_id
    read = db.read_memory if item.kind is Kind.MEMORY else db.read_summary
    found = read(item.id, user_id=user)
    return None if found is None else record(found)


def _memory(item: Record) -> MemoryRow:
    return MemoryRow(
        item.payload, item.id, item.user_id, item.updated_at, item.created_at, item.version
    )


def _summary(item: Record) -> SummaryRow:
    return SummaryRow(
        item.payload, item.id, item.user_id, item.updated_at, item.created_at, item.version
    )
