"""Version 1 of the API on a Store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buddy.memory.db.base import MemoryDb
from buddy.memory.row import StoredMemoryRow, content_id
from buddy.memory.storage.record import Kind, Record
from buddy.memory.storage.row_mapping import SUMMARY, RowMapping
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.storage.sync_runner import run
from buddy.memory.storage.users import Nobody


def _row(record: Record) -> StoredMemoryRow:
    return StoredMemoryRow(
        record.payload,
        record.user_id,
        record.created_at,
        record.updated_at,
        record.id,
        record.version,
        record.expires_at,
    )


V1_MEMORY = RowMapping(Kind.MEMORY, content_id, _row)


MAPPINGS: Mapping[Kind, RowMapping[Any]] = {Kind.MEMORY: V1_MEMORY, Kind.SUMMARY: SUMMARY}


class StoreBackedMemoryDb(StoreBackedContract[StoredMemoryRow], MemoryDb):
    """A v1 MemoryDb for any Store; a backend's class only builds its Store."""

    _mappings = MAPPINGS

    def delete_memory(
        self, id: str, *, user_id: str | Nobody | None = None, if_version: int | None = None
    ) -> bool:
        return run(self._operations.delete(Kind.MEMORY, id, user_id, if_version))
