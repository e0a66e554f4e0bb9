"""Backends for the command to find fault with."""

from __future__ import annotations

from typing import Any

from buddy.memory.errors import UnavailableError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import Kind
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb


class ForgetsTheOrder(InMemoryStore):
    async def page(self, kind: Kind, user_id: Any, **options: Any) -> Any:
        rows = await super().page(kind, user_id, **options)
        return sorted(rows, key=lambda row: row.id)


class DisorderlyMemoryDb(StoreBackedMemoryDb):
    """Keeps every rule but R3."""

    def __init__(self, table_name: str = "memory") -> None:
        super().__init__(ForgetsTheOrder())


class StickyMemoryDb(StoreBackedMemoryDb):
    """Cannot be dropped, and says its password."""

    def __init__(self, table_name: str = "memory") -> None:
        super().__init__(InMemoryStore())

    def drop_table(self) -> None:
        if self.table_exists():
            raise UnavailableError("sticky", "postgresql://ann:hunter2@host/db \x1b[31m")


class NamelessMemoryDb(StoreBackedMemoryDb):
    """Has no argument that names a store."""

    def __init__(self, made: bool = False) -> None:
        super().__init__(InMemoryStore())
        if made:
            self.create()


class CrashingMemoryDb(StoreBackedMemoryDb):
    """Has a mistake in a read."""

    def __init__(self, table_name: str = "memory") -> None:
        super().__init__(InMemoryStore())

    def read_memories(self, *args: Any, **kwargs: Any) -> Any:
        return 1 / 0
