"""A Store behind the hooks of plugins: transforms of records, and observers of every call."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pluggy

from buddy.memory import payload
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.hookspecs import Operation
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.storage.store import Store

logger = logging.getLogger("buddy.memory")


class HookedStore(Store):
    """Passes every call on, with the plugins' hooks before, after and around it."""

    def __init__(self, store: Store, backend: str, manager: pluggy.PluginManager) -> None:
        self.inner = store
        self._backend = backend
        hook = manager.hook
        self._observers = _functions(hook.buddy_memory_operation, "operation")
        self._before_write = _functions(hook.buddy_memory_before_write, "record")
        # Undone in the opposite order.
        self._after_read = _functions(hook.buddy_memory_after_read, "record")[::-1]

    # --- the hooks

    @contextmanager
    def _observed(self, name: str, *about: Any) -> Generator[Operation]:
        operation = Operation(self._backend, name, *about)
        entered: list[tuple[str, AbstractContextManager[object]]] = []
        for plugin, observe in self._observers:
            with _harmless(plugin):
                context = observe(operation)
                if context is not None:
                    context.__enter__()
                    entered.append((plugin, context))
        try:
            yield operation
        except BaseException as error:
            _leave(entered, type(error), error, error.__traceback__)
            raise
        _leave(entered, None, None, None)

    def _written(self, write: Write) -> Write:
        record = write.record
        for plugin, transform in self._before_write:
            try:
                record = _transformed(record, transform)
            except Exception as error:
                reason = f"the plugin {plugin} refused the row: {type(error).__name__}"
                raise InvalidMemoryError(reason, record.kind.value) from error
        return write._replace(record=record)

    def _shown(self, record: Record) -> Record | Corrupt:
        for plugin, transform in self._after_read:
            try:
                record = _transformed(record, transform)
            except Exception as error:
                reason = f"the plugin {plugin} cannot read it: {type(error).__name__}"
                return Corrupt(record.id, record.user_id, record.position, reason)
        return record

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
        with self._observed("create"):
            await self.inner.create()

    async def exists(self) -> bool:
        with self._observed("exists"):
            return await self.inner.exists()

    async def drop(self) -> None:
        with self._observed("drop"):
            await self.inner.drop()

    async def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        # As it stands: no plugin had a hand in what older software wrote.
        with self._observed("older", Kind.MEMORY) as operation:
            operation.rows = 0
            async for page in self.inner.older():
                operation.rows += len(page)
                yield page

    async def upgrade(self) -> None:
        with self._observed("upgrade"):
            await self.inner.upgrade()

    async def ping(self) -> None:
        with self._observed("ping"):
            await self.inner.ping()

    async def close(self) -> None:
        with self._observed("close"):
            await self.inner.close()

    async def facts(self) -> dict[str, str]:
        with self._observed("facts"):
            return await self.inner.facts()

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        return self.inner.risks(facts)

    async def put(self, write: Write) -> Record:
        plain = write.record
        with self._observed("put", plain.kind, plain.id, plain.user_id) as operation:
            write = self._written(write)
            payload = self._shown_as(write)
            stored = await self.inner.put(write)
            operation.rows = 1
            return stored._replace(payload=payload)

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return await self._put_all("put_many", self.inner.put_many, writes)

    async def restore(self, writes: Sequence[Write]) -> list[Record]:
        return await self._put_all("restore", self.inner.restore, writes)

    async def _put_all(
        self,
        name: str,
        put: Callable[[Sequence[Write]], Awaitable[list[Record]]],
        writes: Sequence[Write],
    ) -> list[Record]:
        with self._observed(name, writes[0].record.kind) as operation:
            operation.ids = [write.record.id for write in writes]
            operation.user_ids = list(dict.fromkeys(write.record.user_id for write in writes))
            written = [self._written(write) for write in writes]
            payloads = [self._shown_as(write) for write in written]
            stored = await put(written)
            operation.rows = len(stored)
            return [
                row._replace(payload=payload) for row, payload in zip(stored, payloads, strict=True)
            ]

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        with self._observed("get", kind, id, user_id) as operation:
            found = await self.inner.get(kind, id, user_id)
            operation.rows = int(found is not None)
            return self._shown(found) if isinstance(found, Record) else found

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        with self._observed("has", kind, id, user_id):
            return await self.inner.has(kind, id, user_id)

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        with self._observed("page", kind, None, user_id) as operation:
            rows = await self.inner.page(
                kind, user_id, newest_first=newest_first, after=after, limit=limit
            )
            operation.rows = len(rows)
            operation.ids = [row.id for row in rows]
            return [self._shown(row) if isinstance(row, Record) else row for row in rows]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        with self._observed("count", kind, None, user_id):
            return await self.inner.count(kind, user_id)

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        with self._observed("delete", kind, id, user_id) as operation:
            deleted = await self.inner.delete(kind, id, user_id, if_version)
            operation.rows = int(deleted)
            return deleted

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        with self._observed("delete_many", kind, None, user_id) as operation:
            operation.ids = ids
            operation.rows = await self.inner.delete_many(kind, ids, user_id)
            return operation.rows

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        with self._observed("delete_all", kind, None, user_id) as operation:
            operation.rows = await self.inner.delete_all(kind, user_id)
            return operation.rows


def _functions(caller: pluggy.HookCaller, argument: str) -> list[tuple[str, Callable[..., Any]]]:
    """Return a hook's implementations in the order in which they run, each taking one argument."""

    def adapted(implementation: pluggy.HookImpl) -> Callable[..., Any]:
        function = implementation.function
        return function if argument in implementation.argnames else lambda _: function()

    return [(i.plugin_name, adapted(i)) for i in reversed(caller.get_hookimpls())]


def _transformed(old: Record, transform: Callable[[Record], Record | None]) -> Record:
    """Return what a transform makes of a record; it may differ in the payload only."""
    # The transform gets a copy, so that what it does in place goes nowhere unchecked.
    new = transform(old._replace(payload=payload.encode(old.payload, old.kind.value)))
    if new is None:
        return old
    if new._replace(payload=old.payload) != old:
        raise ValueError("a transform may change nothing but the payload")
    return new._replace(payload=payload.encode(new.payload, new.kind.value))


@contextmanager
def _harmless(plugin: str) -> Generator[None]:
    """An observer that fails is logged, and the operation goes on."""
    try:
        yield
    except Exception:
        logger.exception("the plugin %s failed while observing", plugin)


def _leave(entered: list[tuple[str, AbstractContextManager[object]]], *error: Any) -> None:
    for plugin, context in reversed(entered):
        with _harmless(plugin):
            context.__exit__(*error)
