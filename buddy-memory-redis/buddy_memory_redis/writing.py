"""One upsert of one or many rows: claim the ids, write the rows, and mend what is found broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from buddy.memory.errors import (
    ConflictError,
    MemoryDbError,
    OwnerMismatchError,
    UnavailableError,
)
from buddy.memory.storage.record import Kind, Record
from buddy_memory_redis.directory import GONE, Claim, Directory, Entry, read_claims
from buddy_memory_redis.link import Link
from buddy_memory_redis.rows import Put, written
from buddy_memory_redis.shelf import BYTES, COMMANDS, IDS, Shelves, bounded

ATTEMPTS = 50
"""How often others may get in between a claim and its write before that is an error."""

POLITE_ATTEMPTS = 5
"""How often another user's claim without a row is given time before it is taken back."""


class Claimed(NamedTuple):
    """A write and what the directory says about its id; ``deadline`` is in ms, 0 for none."""

    put: Put
    claim: Claim
    deadline: bytes

    def is_granted(self) -> bool:
        """Tell whether an intent was declared, and is ours."""
        return self.claim.status in ("new", "own") and self.claim.token != b""


class Writing:
    """Writes of distinct ids of one kind. ``done`` is what was stored, by id."""

    def __init__(self, link: Link, directory: Directory, shelves: Shelves, ttl: int) -> None:
        self._link, self._directory, self._shelves = link, directory, shelves
        self._ttl = ttl
        self.done: dict[str, Record] = {}

    async def try_update(self, put: Put, *, claim: bool) -> list[Claimed]:
        """Write a row in one round trip if it is there and never expires. Otherwise return the
        claim that was made in the same round trip, for ``apply``, unless not ``claim``."""
        update = self._shelves.put([put], [Claim("own")], lasting_only=True)
        if claim:
            first = self._directory.claim([put], 0, touch=False)
            reply, (outcome,) = await self._link.all([first, update])
            claimed = _claimed([put], reply)
        else:
            (outcome,) = await self._link.one(update)
            claimed = []
        if outcome == b"missing":
            return claimed
        self._note(claimed[0] if claimed else Claimed(put, Claim("own"), b"0"), outcome)
        return []

    async def apply(self, puts: Sequence[Put], claimed: Sequence[Claimed] = ()) -> None:
        """Write the rows in two round trips (for IDS rows of one user), and in more where something
        has to be mended. ``claimed`` is what ``try_update`` returned."""
        todo = list(puts)
        for attempt in range(ATTEMPTS):
            claimed = claimed or await self._claim(todo)
            await self._refuse_strangers(claimed, fence=attempt >= POLITE_ATTEMPTS)
            todo = [one.put for one in claimed if not one.is_granted()]
            for batch in _batches([one for one in claimed if one.is_granted()]):
                todo += await self._put(batch)
            if not todo:
                return
            claimed = ()
        raise too_many(todo[0].write.record.id)

    async def _claim(self, puts: list[Put]) -> list[Claimed]:
        claimed: list[Claimed] = []
        for start in range(0, len(puts), IDS):
            some = puts[start : start + IDS]
            command = self._directory.claim(some, self._ttl, touch=True)
            claimed += _claimed(some, await self._link.one(command))
        return claimed

    async def _refuse_strangers(self, claimed: Sequence[Claimed], *, fence: bool) -> None:
        """Raise when somebody else owns an id, or when another version was expected of a free one.

        A stranger's claim without a row is about to get one, or is what a crash left; then it is
        taken back.
        """
        others: list[Entry] = []
        for put, claim, _ in claimed:
            if claim.status == "none":
                raise ConflictError(put.write.record.id, put.write.if_version or 0, 0)
            if claim.status == "other":
                others.append(Entry(put.write.record.id, 0, claim.owner, claim.token))
        if others:
            kind = claimed[0].put.write.record.kind
            there = await verify(self._directory, self._shelves, kind, others, fence=fence)
            if there:
                await self._withdraw(kind, claimed)
                raise OwnerMismatchError(there[0].id)

    async def _withdraw(self, kind: Kind, claimed: Sequence[Claimed]) -> None:
        """Free the ids that were claimed for nothing; no write of theirs was sent."""
        for put, claim, _ in claimed:
            if claim.status == "new":
                self._directory.ended(kind, put.write.record.id, claim.token, GONE)
        await self._directory.tell(kind)

    async def _put(self, batch: list[list[Claimed]]) -> list[Put]:
        """Write rows, one list for each command; return what has to be claimed again."""
        replies = await self._link.each(
            [
                self._shelves.put(
                    [one.put for one in some], [one.claim for one in some], some[0].deadline
                )
                for some in batch
            ]
        )
        again: list[Put] = []
        failed: MemoryDbError | None = None
        for some, reply in zip(batch, replies, strict=True):
            if isinstance(reply, MemoryDbError):
                failed = failed or reply
                continue
            for one, outcome in zip(some, reply, strict=True):
                if outcome == b"fenced":
                    again.append(one.put)
                else:
                    self._note(one, outcome)
        if failed is not None:
            raise failed
        return again

    def _note(self, one: Claimed, outcome: bytes) -> None:
        """Keep the record that was stored. Raises ConflictError when it was not."""
        write, token = one.put.write, one.claim.token
        id = write.record.id
        if outcome.startswith(b"conflict"):
            raise ConflictError(id, write.if_version or 0, int(outcome.split()[1]))
        self.done[id] = written(write, outcome)
        if token:
            self._directory.ended(write.record.kind, id, token, outcome.split(b" ", 2)[1])


def _claimed(puts: Sequence[Put], reply: list[bytes]) -> list[Claimed]:
    deadline, claims = read_claims(reply)
    return [Claimed(put, claim, deadline) for put, claim in zip(puts, claims, strict=True)]


def _batches(granted: list[Claimed]) -> Iterator[list[list[Claimed]]]:
    """Yield pipelines of bounded size: lists of lists, one for each user and deadline."""
    if len(granted) == 1:
        yield [granted]
        return
    by_id = {one.put.write.record.id: one for one in granted}
    groups: dict[object, list[Put]] = {}
    for one in granted:
        groups.setdefault((one.put.write.record.user_id, one.deadline), []).append(one.put)
    batch: list[list[Claimed]] = []
    size = 0
    for puts in groups.values():
        for some in bounded(puts, IDS, BYTES):
            batch.append([by_id[put.write.record.id] for put in some])
            size += sum(len(put.text) for put in some)
            if len(batch) == COMMANDS or size > BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def too_many(id: str) -> UnavailableError:
    """Return the error for an id on which others got in between again and again."""
    return UnavailableError("Redis", f"{id!r} is being written by too many")


async def verify(
    directory: Directory,
    shelves: Shelves,
    kind: Kind,
    entries: Sequence[Entry],
    *,
    fence: bool = True,
) -> list[Entry]:
    """Return the entries that have a row. With ``fence``, settle them all for good."""
    positions = await shelves.probe(kind, entries, fence=fence)
    there = [e for e, position in zip(entries, positions, strict=True) if position != GONE]
    if fence:
        for entry, position in zip(entries, positions, strict=True):
            directory.ended(kind, entry.id, entry.token, position)
        await directory.tell(kind)
    return there
