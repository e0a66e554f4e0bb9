"""The v1 contract."""

from __future__ import annotations

from abc import abstractmethod

from buddy.memory.row import MemoryRow
from buddy.memory.storage.contract import MemoryContract

__all__ = ["MemoryDb"]


class MemoryDb(MemoryContract[MemoryRow]):
    """Version 1: rows are ``buddy.memory.row.MemoryRow``. See MemoryContract for each method."""

    @abstractmethod
    def delete_memory(self, id: str) -> bool | None:
        """Delete one row. Backends of this project tell whether there was one, and also take
        ``user_id`` (another user's row does not exist) and ``if_version``."""
