"""The rules, once: everything between what a caller asks and what a Store has to do.

``Rules`` speaks records and is the same for both versions of the API and for sync and async.
Rule numbers refer to docs/rules.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from time import monotonic
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import ConfigError, ConflictError
from buddy.memory.storage import clock
from buddy.memory.storage.expiry import KEEP, next_step, parse_ttl
from buddy.memory.storage.found_rows import one_of_each, only_one
from buddy.memory.storage.reading_rules import ReadingRules
from buddy.memory.storage.record import (
    EVERYBODY,
    Draft,
    Key,
    Kind,
    Record,
    Scope,
    Write,
)
from buddy.memory.storage.store import Store
from buddy.memory.storage.validation import (
    check_id,
    check_ids,
    check_stored_version,
    check_user,
    check_version,
    prepare,
)

Embed = Callable[[list[Write]], Awaitable[list[Write]]]
"""Gives writes the vectors of their texts."""


class RefCount:
    """How many objects use one store; the last one to close closes it."""

    def __init__(self) -> None:
        self.holders = 1


class Rules(ReadingRules):
    """One Store with the rules R1 to R8, R13 and R14 kept above it.

    ``expire`` is how long rows live of whose end neither a call nor the row says anything.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        references: RefCount | None = None,
        expire: timedelta | None = None,
    ) -> None:
        super().__init__(store, name)
        self._expire = expire
        self._references = references or RefCount()

    # --- writing

    async def put(
        self,
        draft: Draft,
        if_version: int | None = None,
        embed: Embed | None = None,
        ttl: Any = None,
    ) -> Record:
        store, now = self.store, clock.utc_now()
        end = parse_ttl(ttl, self._expire, now)
        write = prepare(draft, now, check_version(if_version), end)
        if embed is not None:
            (write,) = await embed([write])
        return await store.put(write)

    async def put_many(
        self, drafts: Iterable[Draft], embed: Embed | None = None, ttl: Any = None
    ) -> list[Record]:
        """Write the rows of one kind; a user and id given twice is written once (R6)."""
        store, now = self.store, clock.utc_now()
        end = parse_ttl(ttl, self._expire, now)
        writes: dict[tuple[Any, ...], Write] = {}
        keys: list[tuple[Any, ...]] = []
        prepared: Iterable[Write] = (prepare(draft, now, None, end) for draft in drafts)
        if embed is not None:
            prepared = await embed([*prepared])
        for write in prepared:
            key = write.record[1:3]  # As Record.key, in half the time: bulk writes are large.
            keys.append(key)
            writes[key] = _collapse(writes[key], write) if key in writes else write
        if not writes:
            await store.ping()
            return []
        records = await store.put_many(list(writes.values()))
        if len(records) == len(keys):
            return records
        stored = {record[1:3]: record for record in records}
        return [stored[key]._replace(payload=payload.encode(stored[key].payload)) for key in keys]

    async def restore(self, records: Iterable[Record]) -> list[Record]:
        """Store those records of one kind from elsewhere that are new here, with their versions and
        ends; return these. Their keys are distinct."""
        store = self.store
        writes = self._from_elsewhere(records)
        stored = {*await store.restore(writes)} if writes else set()
        return [write.record for write in writes if write.record.key in stored]

    async def overwrite(self, records: Iterable[Record]) -> list[Record]:
        """Store records of one kind from elsewhere, also over rows that are there; return what is
        stored, in order. Their keys are distinct."""
        store = self.store
        writes = self._from_elsewhere(records)
        return await store.put_many(writes) if writes else []

    def _from_elsewhere(self, records: Iterable[Record]) -> list[Write]:
        now = clock.utc_now()
        writes = []
        for record in records:
            write = prepare(Draft(*record[:6]), now)
            kept = write.record._replace(
                version=check_stored_version(record.version),
                expires_at=record.expires_at,
                vector=record.vector,
            )
            writes.append(write._replace(record=kept))
        return writes

    async def rewrite(self, record: Record, new: Any, vector: bytes | None) -> bool:
        """Replace payload and vector of the row that still is as ``record``."""
        store, encoded = self.store, payload.encode(new, record.kind)
        if record.stamp is None:
            raise ConfigError("a record to rewrite has to be one that was read")
        return await store.rewrite(
            record.kind, *record.key, record.stamp, payload=encoded, vector=vector
        )

    async def touch(self, kind: Kind, ids: Any, user_id: str | None, ttl: Any) -> int:
        """Move the end of the user's rows that live; return how many these were."""
        store, distinct = self.store, list(dict.fromkeys(check_ids(ids)))
        if ttl is None or ttl is KEEP:
            raise ConfigError("ttl must be a number of seconds, a timedelta or NEVER")
        end = parse_ttl(ttl, None, clock.utc_now())
        if not distinct:
            await store.ping()
            return 0
        return await store.touch(kind, user_id, distinct, end.ttl)

    async def sweep(self) -> AsyncIterator[int]:
        """Remove what has expired, some rows at a time; yield how many each step removed."""
        store = self.store
        most = step = store.sweep_step
        for kind in Kind:
            is_at_end = False
            while not is_at_end:
                begun = monotonic()
                removed = await store.sweep(kind, step)
                took = monotonic() - begun
                if removed:
                    yield removed
                is_at_end = removed < step
                step = next_step(step, took, most) if not is_at_end else step

    # --- deleting

    async def delete(
        self, kind: Kind, id: Any, user_id: Any = None, if_version: int | None = None
    ) -> bool:
        store, id, expected = self.store, check_id(id), check_version(if_version)
        if user_id is not None:
            return await store.delete(kind, check_user(user_id), id, expected)
        found = only_one(id, await store.find(kind, [id]))
        if found is not None:
            return await store.delete(kind, found.user_id, id, expected)
        if expected:
            raise ConflictError(id, expected, 0)
        return False

    async def delete_many(self, kind: Kind, ids: Iterable[str], user_id: Any = None) -> int:
        store, distinct = self.store, list(dict.fromkeys(check_ids(ids)))
        user = check_user(user_id)
        if not distinct:
            await store.ping()
            return 0
        if user_id is None:
            found = one_of_each(distinct, await store.find(kind, distinct))
            keys = [item.key for item in found.values()]
        else:
            keys = [Key(user, id) for id in distinct]
        return await store.delete_many(kind, keys) if keys else 0

    async def delete_all(self, scope: Scope) -> dict[str, int]:
        """Delete the memories and summaries of the scope; return the counts."""
        store = self.store
        return {
            "memories": await store.delete_all(Kind.MEMORY, scope),
            "summaries": await store.delete_all(Kind.SUMMARY, scope),
        }

    async def clear(self) -> bool:
        await self.delete_all(EVERYBODY)
        return True

    # --- the end

    def share(self) -> Rules:
        """Return a second holder of the same store, closed on its own."""
        shared = Rules(self.store, self._name, self._references, self._expire)
        self._references.holders += 1
        return shared

    async def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._references.holders -= 1
        if self._references.holders == 0:
            await self._store.close()


def _collapse(first: Write, second: Write) -> Write:
    """Return one write for a row that stands twice in one call: first place, last content."""
    content, ends, vector = second.record.payload, second.record.expires_at, second.record.vector
    record = first.record._replace(payload=content, expires_at=ends, vector=vector)
    return first._replace(record=record)
