"""Redis and Valkey as a Store. The layout is in ``keys``, the protocol in ``directory``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from buddy.memory.errors import AccessError, MemoryDbError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.storage.store import Store
from buddy_memory_redis import facts
from buddy_memory_redis.advice import risks, warn_about_losses
from buddy_memory_redis.batches import BYTES, bounded, itself
from buddy_memory_redis.deleting import Deleting
from buddy_memory_redis.directory import Directory, Entry, owner_in
from buddy_memory_redis.keys import Keys
from buddy_memory_redis.link import Link
from buddy_memory_redis.mending import verify
from buddy_memory_redis.owners import Owners
from buddy_memory_redis.rows import dump, load
from buddy_memory_redis.shelf import Shelves
from buddy_memory_redis.together import Together
from buddy_memory_redis.writing import Claimed, Writing

ROWS = 1000
"""Rows in one reply at most."""

WINDOW = 10_000
"""Rows of a bulk write under way at once."""

MANY = 100
"""Ids that may lack a row: more than these are settled when rows are counted."""

SETTLED_AFTER = 1_000_000
"""µs after which a missing row is taken for a leftover and not for one that is just coming."""


class RedisStore(Store):
    """Rows on the shelves of their users, and a directory of all ids."""

    def __init__(self, link: Link, prefix: str, expire: int | None) -> None:
        self._link, self._prefix = link, prefix
        self._ttl = 1000 * (expire or 0)
        self._keys = Keys(prefix)
        self._directory = Directory(link, self._keys)
        self._shelves = Shelves(link, self._keys)
        self._together = Together(link, self._keys, self._directory)
        self._warned = False
        self._owners = Owners()
        self._deleting = Deleting(
            link, self._directory, self._shelves, self._together, self._owners
        )

    # --- the store as a whole

    async def create(self) -> None:
        await self._link.one(("SET", self._keys.meta, 0, "NX"))
        if not self._warned:
            self._warned = True
            await warn_about_losses(self._link, self._prefix)

    async def exists(self) -> bool:
        return bool(await self._link.one(("EXISTS", self._keys.meta)))

    async def drop(self) -> None:
        for kind in Kind:
            await self.delete_all(kind, None)
        await self._link.one(("UNLINK", *{k for kind in Kind for k in self._keys.directory(kind)}))

    async def ping(self) -> None:
        await self.exists()

    async def close(self) -> None:
        await self._link.close()

    async def older(self) -> AsyncIterator[list[Record | Corrupt]]:
        from buddy_memory_redis.legacy import older  # Few stores have any.

        async for page in older(self._link, self._prefix):
            yield [old.row for old in page]

    async def facts(self) -> dict[str, str]:
        return await facts.ask(self._link, self._prefix)

    def risks(self, facts: Mapping[str, str]) -> list[str]:
        return risks(facts)

    async def upgrade(self) -> None:
        from buddy_memory_redis.legacy import upgrade

        await upgrade(self, self._link, self._prefix)

    # --- writing

    def writing(self, ttl: int | None = None) -> Writing:
        """Return an upsert to be done; ``ttl`` in ms overrides the store's."""
        used = self._ttl if ttl is None else ttl
        return Writing(self._link, self._directory, self._shelves, self._together, used)

    async def put(self, write: Write) -> Record:
        writing, put = self.writing(), dump(write)
        record = write.record
        claimed: Sequence[Claimed] = ()
        known = self._owners.get(record.kind, record.id) == (record.user_id,)
        # Where both can be done in one step, only a row that was seen is looked for by itself.
        if not self._ttl and (known or not self._together.is_likely):
            claimed = await writing.try_update(put, claim=not known)
        if not writing.done:
            await writing.apply([put], claimed)
        self._owners.keep(record.kind, record.id, record.user_id)
        return writing.done[record.id]

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        writing = self.writing()
        try:
            for some in bounded([dump(write) for write in writes], WINDOW, 16 * BYTES, itself):
                await writing.apply(some)
            await self._directory.tell(writes[0].record.kind)
        except MemoryDbError as error:
            error.stored_ids = tuple(writing.done)
            raise
        return [writing.done[write.record.id] for write in writes]

    # --- reading

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        owner, text = await self._find(kind, id, user_id)
        return None if text is None else load(kind, id, owner, 0, text)

    async def has(self, kind: Kind, id: str, user_id: str | None) -> bool:
        return (await self._find(kind, id, user_id))[1] is not None

    async def _find(
        self, kind: Kind, id: str, user_id: str | None
    ) -> tuple[str | None, bytes | None]:
        """Return the owner of an id and the stored text, which is None where there is no row.

        One round trip where the user is given or was seen before; else two, and three when the id
        is another's by now.
        """
        expiring = self._ttl > 0
        guess = self._owners.get(kind, id) if user_id is None else (user_id,)
        if guess is not None:
            # A row is on the shelf of no other user than its owner's.
            text = await self._shelves.get(kind, guess[0], id, at_once=expiring)
            if text is not None or user_id is not None:
                return guess[0], text
        owner = owner_in(await self._link.one(self._directory.look(kind, id)))
        if owner is None or owner == guess:
            return None, None
        self._owners.keep(kind, id, owner[0])
        return owner[0], await self._shelves.get(kind, owner[0], id, at_once=True)

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        found: list[Record | Corrupt] = []
        while limit is None or len(found) < limit:
            wanted = ROWS if limit is None else min(ROWS, limit - len(found))
            if user_id is None:
                rows, after = await self._page_of_all(kind, newest_first, after, wanted)
            else:
                rows = await self._shelves.page(kind, user_id, newest_first, after, wanted)
                after = rows[-1].position if len(rows) == wanted else None
            found += rows
            if after is None:
                break
        return found

    async def _page_of_all(
        self, kind: Kind, newest_first: bool, after: Any, limit: int
    ) -> tuple[list[Record | Corrupt], Any]:
        """Return rows of all users, and the position to go on from (None: there are no more)."""
        now, entries = await self._directory.scan(kind, newest_first, after, limit)
        rows = await self._shelves.fetch(kind, entries)
        ghosts = [entry for entry, row in zip(entries, rows, strict=True) if row is None]
        leftovers = [entry for entry in ghosts if now - int(entry.token) > SETTLED_AFTER]
        if leftovers:
            await self._heal(kind, leftovers)
        last = entries[-1].position if len(entries) == limit else None
        return [row for row in rows if row is not None], last

    async def _heal(self, kind: Kind, entries: Sequence[Entry]) -> list[Entry]:
        """Settle what others left; return the entries that have a row."""
        try:
            return await verify(self._directory, self._shelves, kind, entries)
        except AccessError:  # Who may only read gets an answer all the same.
            return await verify(self._directory, self._shelves, kind, entries, fence=False)

    async def count(self, kind: Kind, user_id: str | None) -> int:
        if user_id is not None:
            return await self._shelves.count(kind, user_id)
        count, pending = await self._directory.tally(kind)
        if len(pending) <= MANY:
            there = await verify(self._directory, self._shelves, kind, pending, fence=False)
        else:
            there = await self._heal(kind, pending)
        return count - (len(pending) - len(there))

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        return await self._deleting.one(kind, id, user_id, if_version)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        return await self._deleting.many(kind, ids, user_id)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        if user_id is None:
            return await self._deleting.all(kind)
        return await self._deleting.user(kind, user_id)
