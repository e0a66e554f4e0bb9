"""A Store behind the hooks of plugins: transforms of records, and observers of every call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pluggy

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.hookspecs import ForgottenUserError, Operation
from buddy.memory.storage import clock
from buddy.memory.storage.hook_calls import functions, observed, transformed
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, Write
from buddy.memory.storage.store import Ended, Store


class HookedStore(Store):
    """Passes every call on, with the plugins' hooks before, after and around it.

    ``awaited`` says that an event loop drives the calls, so that observers may wait in them.
    """

    def __init__(
        self, store: Store, backend: str, manager: pluggy.PluginManager, *, awaited: bool = False
    ) -> None:
        self.inner = store
        self.position_type, self.sweep_step = store.position_type, store.sweep_step
        self._backend = backend
        self._awaited = awaited
        hook = manager.hook
        self._observers = functions(hook.buddy_memory_operation, "operation")
        self._before_write = functions(hook.buddy_memory_before_write, "record")
        # Undone in the opposite order.
        self._after_read = functions(hook.buddy_memory_after_read, "record")[::-1]

    # --- the hooks

    def _observed(
        self,
        name: str,
        kind: Kind | None = None,
        scope: Scope | None = None,
        keys: Sequence[Key] = (),
    ) -> AbstractAsyncContextManager[Operation]:
        operation = Operation(self._backend, name, kind, scope, keys)
        return observed(self._observers, operation, awaited=self._awaited)

    def _observed_row(
        self, name: str, kind: Kind, key: Key
    ) -> AbstractAsyncContextManager[Operation]:
        return self._observed(name, kind, Scope.of_user(key.user_id), [key])

    def _written(self, write: Write) -> Write:
        record = write.record
        for plugin, transform in self._before_write:
            try:
                record = transformed(record, transform)
            except Exception as error:
                reason = f"the plugin {plugin} refused the row: {type(error).__name__}"
                raise InvalidMemoryError(reason, record.kind.value) from error
        return write._replace(record=record)

    def _shown(self, record: Record) -> Record | Corrupt:
        for plugin, transform in self._after_read:
            try:
                record = transformed(record, transform)
            except Exception as error:
                reason = f"the plugin {plugin} cannot read it: {type(error).__name__}"
                is_forgotten = isinstance(error, ForgottenUserError)
                return Corrupt(*record.key, record.position, reason, is_forgotten)
        return record

    def _shown_rows(self, rows: Sequence[Record | Corrupt]) -> list[Record | Corrupt]:
        return [self._shown(row) if isinstance(row, Record) else row for row in rows]

    def _shown_as(self, write: Write) -> dict[str, Any]:
        """Return the payload that readers will see of a transformed write, before it is stored."""
        shown = self._shown(write.record)
        if isinstance(shown, Corrupt):
            raise InvalidMemoryError(
                f"would be unreadable: {shown.reason}", write.record.kind.value
            )
        return shown.payload

    # --- the primitives

    async def create(self) -> None:
        async with self._observed("create"):
            await self.inner.create()

    async def exists(self) -> bool:
        async with self._observed("exists"):
            return await self.inner.exists()

    async def drop(self) -> None:
        async with self._observed("drop"):
            await self.inner.drop()

    async def legacy_records(self) -> AsyncIterator[list[Record | Corrupt]]:
        # As it stands: no plugin had a hand in what older software wrote. Each page is an operation
        # of its own: what a caller does between two pages is none of the database's.
        pages = self.inner.legacy_records()
        while True:
            async with self._observed("legacy_records", Kind.MEMORY) as operation:
                page = await anext(pages, None)
                operation.rows = len(page or ())
            if page is None:
                return
            yield page

    async def upgrade(self) -> None:
        async with self._observed("upgrade"):
            await self.inner.upgrade()

    async def ping(self) -> None:
        async with self._observed("ping"):
            await self.inner.ping()

    async def close(self) -> None:
        async with self._observed("close"):
            await self.inner.close()

    async def server_info(self) -> dict[str, str]:
        async with self._observed("server_info"):
            return await self.inner.server_info()

    def durability_warnings(self, info: Mapping[str, str]) -> list[str]:
        return self.inner.durability_warnings(info)

    async def delete_legacy(self, user_id: str | None) -> int:
        async with self._observed(
            "delete_legacy", Kind.MEMORY, Scope.of_user(user_id)
        ) as operation:
            operation.rows = await self.inner.delete_legacy(user_id)
            return operation.rows

    def data_files(self) -> tuple[Path, ...]:
        return self.inner.data_files()

    def next_mark(self, mark: str, old: int | None, new: int | None) -> str | None:
        return self.inner.next_mark(mark, old, new)

    async def stamps(self, kind: Kind, user_id: str | None) -> list[tuple[str, int | None]]:
        async with self._observed("stamps", kind, Scope.of_user(user_id)):
            return await self.inner.stamps(kind, user_id)

    async def generation(self, kind: Kind) -> str:
        return await self.inner.generation(kind)

    async def put(self, write: Write) -> Record:
        async with self._observed_row("put", write.record.kind, write.record.key) as operation:
            write = self._written(write)
            payload = self._shown_as(write)
            stored = await self.inner.put(write)
            operation.rows = 1
            return stored._replace(payload=payload)

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        keys = [write.record.key for write in writes]
        async with self._observed("put_many", writes[0].record.kind, None, keys) as operation:
            written = [self._written(write) for write in writes]
            payloads = [self._shown_as(write) for write in written]
            stored = await self.inner.put_many(written)
            operation.rows = len(stored)
            return [
                row._replace(payload=payload) for row, payload in zip(stored, payloads, strict=True)
            ]

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        keys = [write.record.key for write in writes]
        async with self._observed("restore", writes[0].record.kind, None, keys) as operation:
            written = [self._written(write) for write in writes]
            for write in written:
                self._shown_as(write)
            stored = await self.inner.restore(written)
            operation.rows = len(stored)
            return stored

    async def rewrite(
        self,
        kind: Kind,
        user_id: str | None,
        id: str,
        if_stamp: int,
        *,
        payload: dict[str, Any],
        vector: bytes | None,
    ) -> bool:
        key = Key(user_id, id)
        async with self._observed_row("rewrite", kind, key) as operation:
            # Times are none of a rewrite, nor of a transform.
            now = clock.utc_now()
            write = self._written(Write(Record(kind, *key, payload, now, now), now))
            self._shown_as(write)
            payload = write.record.payload
            done = await self.inner.rewrite(kind, *key, if_stamp, payload=payload, vector=vector)
            operation.rows = int(done)
            return done

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        keys = [Key(user_id, id) for id in ids]
        async with self._observed("touch", kind, Scope.of_user(user_id), keys) as operation:
            operation.rows = await self.inner.touch(kind, user_id, ids, ttl)
            return operation.rows

    async def sweep(self, kind: Kind, limit: int) -> int:
        async with self._observed("sweep", kind) as operation:
            operation.rows = await self.inner.sweep(kind, limit)
            return operation.rows

    async def ended(self, kind: Kind) -> Ended | None:
        return await self.inner.ended(kind)

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        async with self._observed_row("get", kind, Key(user_id, id)) as operation:
            found = await self.inner.get(kind, user_id, id)
            operation.rows = int(found is not None)
            return self._shown(found) if isinstance(found, Record) else found

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        async with self._observed("get_many", kind, None, keys) as operation:
            rows = await self.inner.get_many(kind, keys)
            operation.rows = sum(row is not None for row in rows)
            return [self._shown(row) if isinstance(row, Record) else row for row in rows]

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        async with self._observed("find", kind) as operation:
            operation.ids = ids
            rows = await self.inner.find(kind, ids)
            operation.keys = [row.key for row in rows]
            operation.rows = len(rows)
            return self._shown_rows(rows)

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        async with self._observed_row("has", kind, Key(user_id, id)):
            return await self.inner.has(kind, user_id, id)

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        async with self._observed("page", kind, scope) as operation:
            rows = await self.inner.page(
                kind, scope, newest_first=newest_first, after=after, limit=limit
            )
            operation.keys = [row.key for row in rows]
            operation.rows = len(rows)
            return self._shown_rows(rows)

    async def count(self, kind: Kind, scope: Scope) -> int:
        async with self._observed("count", kind, scope):
            return await self.inner.count(kind, scope)

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        async with self._observed("users", kind, Scope.of_prefix(prefix)):
            return await self.inner.users(kind, prefix=prefix, after=after, limit=limit)

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        async with self._observed("mark", kind, Scope.of_user(user_id)):
            return await self.inner.mark(kind, user_id)

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        async with self._observed_row("delete", kind, Key(user_id, id)) as operation:
            deleted = await self.inner.delete(kind, user_id, id, if_version)
            operation.rows = int(deleted)
            return deleted

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        async with self._observed("delete_many", kind, None, keys) as operation:
            operation.rows = await self.inner.delete_many(kind, keys)
            return operation.rows

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        async with self._observed("delete_all", kind, scope) as operation:
            operation.rows = await self.inner.delete_all(kind, scope)
            return operation.rows
