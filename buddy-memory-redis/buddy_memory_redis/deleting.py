"""Deletions: in one step or two, of one row, of many, of a user's, of all."""

from __future__ import annotations

from collections.abc import Sequence

from buddy.memory.errors import ConflictError, MemoryDbError
from buddy.memory.storage.record import Kind
from buddy_memory_redis.batches import COMMANDS, IDS, grouped
from buddy_memory_redis.directory import GONE, Directory, Doomed, owner_in, read_claim
from buddy_memory_redis.link import Link
from buddy_memory_redis.mending import ATTEMPTS, too_many
from buddy_memory_redis.owners import Owners
from buddy_memory_redis.shelf import Shelves
from buddy_memory_redis.together import Together


class Deleting:
    """Takes rows off their shelves and out of the directory."""

    def __init__(
        self,
        link: Link,
        directory: Directory,
        shelves: Shelves,
        together: Together,
        owners: Owners,
    ) -> None:
        self._link, self._directory, self._shelves = link, directory, shelves
        self._together, self._owners = together, owners

    # --- one row

    async def one(self, kind: Kind, id: str, user_id: str | None, if_version: int | None) -> bool:
        """Delete a row; with ``user_id``, one of that user. Tell whether there was one.

        Raises ConflictError.
        """
        outcome: bytes | None = None
        if self._together.is_likely:
            outcome = await self._in_one_step(kind, id, user_id, if_version)
        if outcome is None:
            outcome = await self._in_two_steps(kind, id, user_id, if_version)
        self._owners.forget(kind, id)
        if outcome.startswith(b"conflict"):
            raise ConflictError(id, if_version or 0, int(outcome.split()[1]))
        if outcome == b"missing" and if_version:
            raise ConflictError(id, if_version, 0)
        return outcome == b"gone"

    async def _in_one_step(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bytes | None:
        """Return the outcome, or None when it has to be done in two steps.

        One round trip where it is known who owns the id.
        """
        owner = (user_id,) if user_id is not None else self._owners.get(kind, id)
        for _ in range(ATTEMPTS):
            if owner is None:
                owner = owner_in(await self._link.one(self._directory.look(kind, id)))
            if owner is None:
                return b"missing"
            command = self._together.erase(kind, id, owner[0], if_version)
            (reply,) = await self._link.each([command])
            if self._together.is_elsewhere(reply):
                return None
            if isinstance(reply, MemoryDbError):
                raise reply
            if not reply.startswith(b"other"):
                return bytes(reply)
            if user_id is not None:
                return b"missing"
            owner = (read_claim(reply).owner,)
        raise too_many(id)

    async def _in_two_steps(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bytes:
        for _ in range(ATTEMPTS):
            (doomed,) = await self._directory.intend(kind, [id], user_id)
            if doomed is None:
                return b"missing"
            command = self._shelves.remove(kind, doomed.owner, [doomed], if_version)
            (outcome,) = await self._link.one(command)
            if outcome != b"late":
                if not outcome.startswith(b"conflict"):
                    self._directory.ended(kind, id, doomed.token, GONE)
                return bytes(outcome)
        raise too_many(id)

    # --- many rows

    async def many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        """Delete rows, with ``user_id`` those of that user; return how many there were."""
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
                        self._owners.forget(kind, one.id)
        return gone, late

    async def user(self, kind: Kind, user_id: str) -> int:
        """Delete all rows of a user; return how many there were."""
        deleted = 0
        while ids := await self._shelves.ids(kind, user_id):
            intents = await self._directory.intend(kind, ids, user_id)
            # A row that the directory does not know, after a loss of its keys, goes all the same.
            pairs = zip(ids, intents, strict=True)
            doomed = [one or Doomed(id, b"0", user_id, b"0") for id, one in pairs]
            deleted += (await self._remove(kind, doomed))[0]
        await self._directory.tell(kind)
        return deleted

    async def all(self, kind: Kind) -> int:
        """Delete all rows; return how many there were."""
        deleted, after = 0, None
        while (found := await self._directory.scan(kind, False, after, IDS))[1]:
            after = found[1][-1].position
            deleted += await self.many(kind, [entry.id for entry in found[1]], None)
        return deleted
