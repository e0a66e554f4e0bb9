"""Backends of the eight abstract methods and nothing else, which keep every rule that these owe."""

from __future__ import annotations

from copy import deepcopy
from threading import RLock

from buddy.memory.errors import AmbiguousIdError, ConflictError
from buddy.memory.rows import RowLike, StoredMemoryRow
from buddy.memory.storage import clock
from buddy.memory.storage.record import Key, Record, merge
from buddy.memory.storage.row_mapping import V2_MEMORY
from buddy.memory.storage.users import Nobody
from buddy.memory.storage.validation import (
    check_id,
    check_limit,
    check_scope,
    check_sort,
    check_user,
    check_version,
    prepare,
)
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

TABLES: dict[str, dict[Key, Record]] = {}
"""What a database server would hold: tables by name, rows in the order of first writing."""

LOCK = RLock()


class EightMethodMemoryDb(MemoryDb):
    """Version 2 on a table by its name."""

    def __init__(self, table_name: str) -> None:
        self.table_name = table_name

    def create(self) -> None:
        TABLES.setdefault(self.table_name, {})

    def table_exists(self) -> bool:
        return self.table_name in TABLES

    def drop_table(self) -> None:
        TABLES.pop(self.table_name, None)

    def clear(self) -> bool:
        TABLES.get(self.table_name, {}).clear()
        return True

    def memory_exists(self, memory: RowLike) -> bool:
        draft = V2_MEMORY.draft(memory)
        return Key(check_user(draft.user_id), check_id(draft.id)) in TABLES.get(self.table_name, {})

    def read_memories(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[StoredMemoryRow]:
        newest_first, limit = check_sort(sort), check_limit(limit)
        scope = check_scope(user_id, user_prefix)
        with LOCK:
            records = list(TABLES.get(self.table_name, {}).values())
        rows = [V2_MEMORY.row(deepcopy(row)) for row in records if scope.covers(row.user_id)]
        return (rows[::-1] if newest_first else rows)[:limit]

    def upsert_memory(self, memory: RowLike, *, if_version: int | None = None) -> StoredMemoryRow:
        write = prepare(V2_MEMORY.draft(memory), clock.utc_now(), check_version(if_version))
        with LOCK:
            self.create()
            rows, key = TABLES[self.table_name], write.record.key
            rows[key] = merge(rows.get(key), write, clock.utc_now())
            return V2_MEMORY.row(deepcopy(rows[key]))

    def delete_memory(
        self,
        memory_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        id, expected = check_id(memory_id), check_version(if_version)
        with LOCK:
            rows = TABLES.get(self.table_name, {})
            if user_id is None:
                keys = [key for key in rows if key.id == id]
                if len(keys) > 1:
                    raise AmbiguousIdError(id)
            else:
                keys = [key for key in [Key(check_user(user_id), id)] if key in rows]
            version = rows[keys[0]].version if keys else 0
            if expected not in (None, version):
                raise ConflictError(id, expected or 0, version)
            return bool(keys) and rows.pop(keys[0]) is not None


class AsyncEightMethodMemoryDb(AsyncMemoryDb):
    """The same, awaited."""

    def __init__(self, table_name: str) -> None:
        self._db = EightMethodMemoryDb(table_name)

    async def create(self) -> None:
        self._db.create()

    async def table_exists(self) -> bool:
        return self._db.table_exists()

    async def drop_table(self) -> None:
        self._db.drop_table()

    async def clear(self) -> bool:
        return self._db.clear()

    async def memory_exists(self, memory: RowLike) -> bool:
        return self._db.memory_exists(memory)

    async def read_memories(
        self,
        user_id: str | Nobody | None = None,
        limit: int | None = None,
        sort: str | None = None,
        *,
        user_prefix: str | None = None,
    ) -> list[StoredMemoryRow]:
        return self._db.read_memories(user_id, limit, sort, user_prefix=user_prefix)

    async def upsert_memory(
        self, memory: RowLike, *, if_version: int | None = None
    ) -> StoredMemoryRow:
        return self._db.upsert_memory(memory, if_version=if_version)

    async def delete_memory(
        self,
        memory_id: str,
        *,
        user_id: str | Nobody | None = None,
        if_version: int | None = None,
    ) -> bool:
        return self._db.delete_memory(memory_id, user_id=user_id, if_version=if_version)


class LeastMemoryDb(MemoryDb):
    """The eight methods without an argument that could be left out."""

    def __init__(self, table_name: str) -> None:
        self._db = EightMethodMemoryDb(table_name)

    def create(self) -> None:
        self._db.create()

    def table_exists(self) -> bool:
        return self._db.table_exists()

    def drop_table(self) -> None:
        self._db.drop_table()

    def clear(self) -> bool:
        return self._db.clear()

    def memory_exists(self, memory: RowLike) -> bool:
        return self._db.memory_exists(memory)

    def read_memories(  # type: ignore[override]
        self, user_id: str | Nobody | None = None, limit: int | None = None, sort: str | None = None
    ) -> list[StoredMemoryRow]:
        return self._db.read_memories(user_id, limit, sort)

    def upsert_memory(self, memory: RowLike) -> StoredMemoryRow:  # type: ignore[override]
        return self._db.upsert_memory(memory)

    def delete_memory(self, memory_id: str) -> None:  # type: ignore[override]
        self._db.delete_memory(memory_id)
