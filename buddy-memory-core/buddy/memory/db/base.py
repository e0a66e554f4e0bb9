"""The v1 contract."""

from __future__ import annotations

from abc import abstractmethod

from buddy.memory.row import StoredMemoryRow
from buddy.memory.storage.memory_methods import MemoryContract
from buddy.memory.storage.users import Nobody

__all__ = ["MemoryDb"]


class MemoryDb(MemoryContract[StoredMemoryRow]):
    """Version 1: rows are ``buddy.memory.row.MemoryRow``. See MemoryContract for each method."""

    @abstractmethod
    def delete_memory(
        self, id: str, *, user_id: str | Nobody | None = None, if_version: int | None = None
    ) -> bool | None:
        """Delete one row. Backends of this project tell whether there was one.

        Raises ConflictError when ``if_version`` is not the stored version (0: no row), and
        AmbiguousIdError.
        """
