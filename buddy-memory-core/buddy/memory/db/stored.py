"""Version 1 of the API on a Store."""

from __future__ import annotations

from buddy.memory.db.base import MemoryDb
from buddy.memory.row import MemoryRow
from buddy.memory.storage.run import run
from buddy.memory.storage.shapes import V1_MEMORY
from buddy.memory.storage.stored import StoredContract


class StoredMemoryDb(StoredContract[MemoryRow], MemoryDb):
    """A v1 MemoryDb for any Store; a backend's class only builds its Store."""

    _shape = V1_MEMORY

    def delete_memory(
        self, id: str, *, user_id: str | None = None, if_version: int | None = None
    ) -> bool:
        return run(self._policy.delete(V1_MEMORY.kind, id, user_id, if_version))
