"""Backends that lose something of thousands of rows only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.iteration import PAGE_SIZE
from buddy.memory.storage.record import Kind, Record, Scope, Write
from tests.conformance_kit.broken_backends.declare import on_store


@on_store("R4-a-listing-is-whole-however-long")
class ListsTenThousandAtMost(InMemoryStore):
    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        options["limit"] = min(options["limit"] or 10_000, 10_000)
        return await super().page(kind, scope, **options)


@on_store("R4-a-listing-is-whole-however-long")
class LosesTheLastOfAFullBatch(InMemoryStore):
    """Sends batches of 500, and the last row of a full one with the next batch."""

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        stored = await super().put_many(writes)
        if len(writes) % 500 == 0:
            await self.delete(Kind.MEMORY, *writes[-1].record.key, None)
        return stored


@on_store("R4-a-listing-is-whole-however-long")
class SkipsBetweenPages(InMemoryStore):
    """Takes the place behind a full page of an iteration for the one that it has shown."""

    async def page(self, kind: Kind, scope: Scope, **options: Any) -> Any:
        rows = await super().page(kind, scope, **options)
        if len(rows) == PAGE_SIZE and isinstance(rows[-1], Record):
            step = -1 if options["newest_first"] else 1
            rows[-1] = rows[-1]._replace(position=rows[-1].position + step)
        return rows


@on_store("R15-any-number-of-rows-is-deleted")
class DeletesAThousandOfNobody(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        if scope.name is not None or scope == Scope.of_prefix(""):
            return await super().delete_all(kind, scope)
        rows = await self.page(kind, scope, newest_first=False, after=None, limit=1000)
        return sum([await self.delete(kind, *row.key, None) for row in rows])


@on_store("R15-any-number-of-rows-is-deleted")
class DeletesAThousandSummaries(InMemoryStore):
    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        if kind is Kind.MEMORY:
            return await super().delete_all(kind, scope)
        rows = await self.page(kind, scope, newest_first=False, after=None, limit=1000)
        return sum([await self.delete(kind, *row.key, None) for row in rows])


@on_store("R5-any-number-of-users-is-listed")
class ListsAThousandUsersAtMost(InMemoryStore):
    async def users(self, kind: Kind, *, limit: int | None, **options: Any) -> list[str]:
        return await super().users(kind, limit=min(limit or 1000, 1000), **options)


@on_store("R14-any-number-of-ended-rows-is-swept")
class SweepsLessThanItWasAsked(InMemoryStore):
    """One request of the server removes 500 rows at most, and is taken for a whole step."""

    async def sweep(self, kind: Kind, limit: int) -> int:
        return await super().sweep(kind, min(limit, 500))


@on_store("R14-any-number-of-rows-is-touched")
class TouchesFiveHundredAtMost(InMemoryStore):
    """Sends one batch, and leaves out what does not fit."""

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        return await super().touch(kind, user_id, ids[:500], ttl)
