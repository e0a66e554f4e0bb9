"""Version 1 of the API on a Store."""

from __future__ import annotations

from buddy.memory.db.base import MemoryDb
from buddy.memory.row import MemoryRow
from buddy.memory.storage.record import Draft, Kind, Record
from buddy.memory.storage.run import run
from buddy.memory.storage.shapes import Shape, check_row
from buddy.memory.storage.stored import StoredContract


def _draft(row: MemoryRow) -> Draft:
    check_row(row, MemoryRow)
    return Draft(Kind.MEMORY, row.id, row.user_id, row.memory, row.created_at, row.updated_at)


def _row(record: Record) -> MemoryRow:
    return MemoryRow(
        record.payload,
        record.user_id,
        record.created_at,
        record.updated_at,
        record.id,
        record.version,
    )


V1_MEMORY = Shape(Kind.MEMORY, _draft, _row)


class StoredMemoryDb(StoredContract[MemoryRow], MemoryDb):
    """A v1 MemoryDb for any Store; a backend's class only builds its Store."""

    _shape = V1_MEMORY

    def delete_memory(
        self, id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return run(self._policy.delete(V1_MEMORY.kind, id, user_id, if_version))
