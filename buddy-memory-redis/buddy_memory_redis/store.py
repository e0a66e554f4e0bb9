"""Redis and Valkey as a Store. The layout is in ``keys``, the protocol in ``directory``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from buddy.memory.errors import AccessError, ConflictError, MemoryDbError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write
from buddy.memory.storage.store import Store
from buddy_memory_redis import facts
from buddy_memory_redis.advice import warn_about_losses
from buddy_memory_redis.batches import BYTES, COMMANDS, IDS, bounded, grouped, itself
from buddy_memory_redis.directory import GONE, Directory, Doomed, Entry, owner_in
from buddy_memory_redis.keys import Keys
from buddy_memory_redis.legacy import older, upgrade
from buddy_memory_redis.link import Link
from buddy_memory_redis.mending import too_many, verify
from buddy_memory_redis.rows import dump
from buddy_memory_redis.shelf import Shelves
from buddy_memory_redis.together import Together
from buddy_memory_redis.writing import ATTEMPTS, Claimed, Writing

ROWS = 1000
"""Rows in one reply at most."""

WINDOW = 10_000
"""Rows of a bulk write under way at once."""

REMEMBERED = 10_000
"""Ids whose owners are kept at hand."""

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
        # Who owned an id when it was last seen: saves a round trip while that is still so.
        self._owners: dict[tuple[Kind, str], tuple[str | None]] = {}

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
        async for page in older(self._link, self._prefix):
            yield [old.row for old in page]

    async def facts(self) -> dict[str, str]:
        return await facts.ask(self._link, self._prefix)

    async def upgrade(self) -> None:
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
        known = self._owners.get((record.kind, record.id)) == (record.user_id,)
        # Where both can be done in one step, only a row that was seen is looked for by itself.
        if not self._ttl and (known or not self._together.is_likely):
            claimed = await writing.try_update(put, claim=not known)
        if not writing.done:
            await writing.apply([put], claimed)
        self._remember(record.kind, record.id, record.user_id)
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
        if user_id is not None:
            return await self._shelves.get(kind, user_id, id)
        guess = self._owners.get((kind, id))
        looks = [] if guess is None else self._shelves.look(kind, guess[0], id)
        reply, *row = await self._link.all([self._directory.look(kind, id), *looks])
        owner = owner_in(reply)
        if owner is None:
            return None
        if owner == guess:
            return await self._shelves.got(kind, owner[0], id, row)
        self._remember(kind, id, owner[0])
        return await self._shelves.get(kind, owner[0], id)

    def _remember(self, kind: Kind, id: str, user_id: str | None) -> None:
        if len(self._owners) >= REMEMBERED:
            self._owners.clear()
        self._owners[kind, id] = (user_id,)

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
        for _ in range(ATTEMPTS):
            (doomed,) = await self._directory.intend(kind, [id], user_id)
            if doomed is None:
                if if_version:
                    raise ConflictError(id, if_version, 0)
                return False
            self._owners.pop((kind, id), None)
            command = self._shelves.remove(kind, doomed.owner, [doomed], if_version)
            (outcome,) = await self._link.one(command)
            if outcome.startswith(b"conflict"):
                raise ConflictError(id, if_version or 0, int(outcome.split()[1]))
            if outcome != b"late":
                self._directory.ended(kind, id, doomed.token, GONE)
                return bool(outcome == b"gone")
        raise too_many(id)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        deleted = 0
        for start in range(0, len(ids), IDS):
            some = ids[start : start + IDS]
            for _ in range(ATTEMPTS):
                intents = await self._directory.intend(kind, some, user_id)
                gone, some = await self._remove(kind, [one for one in intents if one])
                deleted += gone
                if not some:
                    break
            else:
                raise too_many(some[0])
        await self._directory.tell(kind)
        return deleted

    async def _remove(self, kind: Kind, doomed: Sequence[Doomed]) -> tuple[int, list[str]]:
        """Delete rows whose deletion was declared; return how many there were, and the ids of which
        the deletion has to be declared again."""
        gone, late = 0, list[str]()
        self._owners.clear()
        groups = grouped(doomed, lambda one: one.owner)
        for start in range(0, len(groups), COMMANDS):
            some = groups[start : start + COMMANDS]
            replies = await self._link.all(
                [self._shelves.remove(kind, owner, group) for owner, group in some]
            )
            for (_, group), reply in zip(some, replies, strict=True):
                gone += reply.count(b"gone")
                for one, outcome in zip(group, reply, strict=True):
                    if outcome == b"late":
                        late.append(one.id)
                    else:
                        self._directory.ended(kind, one.id, one.token, GONE)
        return gone, late

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        deleted = 0
        if user_id is None:
            after: int | None = None
            while (found := await self._directory.scan(kind, False, after, IDS))[1]:
                after = found[1][-1].position
                deleted += await self.delete_many(kind, [e.id for e in found[1]], None)
            return deleted
        while ids := await self._shelves.ids(kind, user_id):
            intents = await self._directory.intend(kind, ids, user_id)
            # A row that the directory does not know, after a loss of its keys, goes all the same.
            pairs = zip(ids, intents, strict=True)
            doomed = [one or Doomed(id, b"0", user_id, b"0") for id, one in pairs]
            deleted += (await self._remove(kind, doomed))[0]
        await self._directory.tell(kind)
        return deleted
