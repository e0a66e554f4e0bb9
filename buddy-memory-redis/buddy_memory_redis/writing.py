"""One upsert of one or many rows: in one step or two, and mending what is found broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from buddy.memory.errors import (
    ConflictError,
    MemoryDbError,
    OwnerMismatchError,
)
from buddy.memory.storage.record import Kind, Record
from buddy_memory_redis.batches import IDS, itself, pipelines
from buddy_memory_redis.directory import GONE, Claim, Directory, Entry, read_claims
from buddy_memory_redis.link import Link
from buddy_memory_redis.mending import ATTEMPTS, too_many, verify
from buddy_memory_redis.rows import Put, inserted, written
from buddy_memory_redis.shelf import Shelves
from buddy_memory_redis.together import Together, strangers

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

    def __init__(
        self, link: Link, directory: Directory, shelves: Shelves, together: Together, ttl: int
    ) -> None:
        self._link, self._directory, self._shelves = link, directory, shelves
        self._together, self._ttl = together, ttl
        self.done: dict[str, Record] = {}

    async def try_update(self, put: Put, *, claim: bool) -> list[Claimed]:
        """Write a row in one round trip if it is there and never expires. Otherwise return the
        claim that was made in the same round trip, for ``apply``, unless not ``claim``."""
        update = self._shelves.put([put], [Claim("own")], lasting_only=True)
        first = [self._directory.claim([put], 0, touch=False)] if claim else []
        *replies, outcomes = await self._link.each([*first, update])
        if isinstance(outcomes, MemoryDbError):
            raise outcomes
        is_missing = outcomes[0] == b"missing"
        claimed: list[Claimed] = []
        for reply in replies:
            if not isinstance(reply, MemoryDbError):
                claimed = _claimed([put], reply)
            elif is_missing:  # An update has no need of the directory.
                raise reply
        if is_missing:
            return claimed
        self._note(claimed[0] if claimed else Claimed(put, Claim("own"), b"0"), outcomes[0])
        return []

    async def apply(self, puts: Sequence[Put], claimed: Sequence[Claimed] = ()) -> None:
        """Write the rows, again and again where something has to be mended first. ``claimed`` is
        what ``try_update`` returned."""
        todo = list(puts)
        for attempt in range(ATTEMPTS):
            fence = attempt >= POLITE_ATTEMPTS
            if self._together.is_likely and not claimed:
                todo = await self._in_one_step(todo, fence=fence)
            else:
                todo = await self._in_two_steps(claimed or await self._claim(todo), fence=fence)
            if not todo:
                return
            claimed = ()
        raise too_many(todo[0].write.record.id)

    # --- in one step

    async def _in_one_step(self, puts: list[Put], *, fence: bool) -> list[Put]:
        """Write rows of which the directory is where their shelves are; return those to be written
        again. One round trip for one row."""
        kind, again = puts[0].write.record.kind, list[Put]()
        placed = await self._together.placed(puts)
        for batch in pipelines(placed, _user, itself):
            others: list[Entry] = []
            replies = await self._link.each([self._together.upsert(s, self._ttl) for s in batch])
            failed: MemoryDbError | None = None
            for some, reply in zip(batch, replies, strict=True):
                if self._together.is_elsewhere(reply):
                    again += some
                elif isinstance(reply, MemoryDbError):
                    failed = failed or reply
                elif isinstance(reply, bytes):
                    self._note_all(some, [b"0", reply])
                elif found := strangers(some, reply):
                    others += found
                    again += some
                else:
                    self._note_all(some, reply)
            if failed is not None:
                raise failed
            await self._refuse(kind, others, fence=fence)
        return again

    def _note_all(self, puts: Sequence[Put], reply: Sequence[bytes]) -> None:
        """Keep the records of one command: rows were inserted as asked unless the reply differs."""
        outcomes = dict(zip(map(int, reply[::2]), reply[1::2], strict=True))
        for number, put in enumerate(puts):
            record = put.write.record
            if number in outcomes:
                self.done[record.id] = self._stored(put, outcomes[number])
            else:
                self.done[record.id] = inserted(record, int(put.place))

    # --- in two steps

    async def _in_two_steps(self, claimed: Sequence[Claimed], *, fence: bool) -> list[Put]:
        """Write rows that were claimed; return those to be written again."""
        left_by_others = await self._refuse_strangers(claimed, fence=fence)
        if left_by_others and len(claimed) > 1:
            # All begin anew, for places in their order.
            await self._withdraw(claimed[0].put.write.record.kind, claimed)
            return [one.put for one in claimed]
        again = [one.put for one in claimed if not one.is_granted()]
        granted = [one for one in claimed if one.is_granted()]
        for batch in pipelines(granted, _user_and_deadline, _put_of):
            again += await self._put(batch)
        return again

    async def _claim(self, puts: list[Put]) -> list[Claimed]:
        claimed: list[Claimed] = []
        for start in range(0, len(puts), IDS):
            some = puts[start : start + IDS]
            command = self._directory.claim(some, self._ttl, touch=True)
            claimed += _claimed(some, await self._link.one(command))
        return claimed

    async def _refuse_strangers(self, claimed: Sequence[Claimed], *, fence: bool) -> bool:
        """Raise when somebody else owns an id, or another version was expected of a free one.
        Tell whether others claimed some and have no row."""
        others: list[Entry] = []
        for put, claim, _ in claimed:
            if claim.status == "none":
                raise ConflictError(put.write.record.id, put.write.if_version or 0, 0)
            if claim.status == "other":
                others.append(Entry(put.write.record.id, 0, claim.owner, claim.token))
        kind = claimed[0].put.write.record.kind
        try:
            await self._refuse(kind, others, fence=fence)
        except OwnerMismatchError:
            await self._withdraw(kind, claimed)
            raise
        return bool(others)

    async def _withdraw(self, kind: Kind, claimed: Sequence[Claimed]) -> None:
        """Free the ids that were claimed for nothing; no write of theirs was sent."""
        for put, claim, _ in claimed:
            if claim.status == "new":
                self._directory.ended(kind, put.write.record.id, claim.token, GONE)
        await self._directory.tell(kind)

    async def _put(self, batch: list[list[Claimed]]) -> list[Put]:
        """Write rows, one list for each command; return what has to be claimed again."""
        first, token = batch[0][0].put.write.record, batch[0][0].claim.token
        look = self._together.look(first, token)
        puts = [
            self._shelves.put(
                [one.put for one in some], [one.claim for one in some], some[0].deadline
            )
            for some in batch
        ]
        replies = await self._link.each([*look, *puts])
        for _ in look:
            self._together.seen(replies.pop(0), token)
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
        if any(one.claim.open == b"1" for some in batch for one in some):
            # A row may stand where this write put it, and its id where that of a dead client did.
            await self._directory.tell(first.kind)
        return again

    def _note(self, one: Claimed, outcome: bytes) -> None:
        """Keep the record that was stored, and how the intent ended."""
        record, token = one.put.write.record, one.claim.token
        self.done[record.id] = self._stored(one.put, outcome)
        if token:
            self._directory.ended(record.kind, record.id, token, outcome.split(b" ", 2)[1])

    # --- in both

    async def _refuse(self, kind: Kind, others: Sequence[Entry], *, fence: bool) -> None:
        """Raise OwnerMismatchError when one of these ids of others has a row.

        One without is about to get one, or is what a crash left; with ``fence`` it is taken back.
        """
        if others:
            there = await verify(self._directory, self._shelves, kind, others, fence=fence)
            if there:
                raise OwnerMismatchError(there[0].id)

    @staticmethod
    def _stored(put: Put, outcome: bytes) -> Record:
        """Return the record that was stored. Raises ConflictError when it was not."""
        if outcome.startswith(b"conflict"):
            expected = put.write.if_version or 0
            raise ConflictError(put.write.record.id, expected, int(outcome.split()[1]))
        return written(put.write, outcome)


def _user(put: Put) -> str | None:
    return put.write.record.user_id


def _put_of(one: Claimed) -> Put:
    return one.put


def _user_and_deadline(one: Claimed) -> object:
    return one.put.write.record.user_id, one.deadline


def _claimed(puts: Sequence[Put], reply: list[bytes]) -> list[Claimed]:
    deadline, claims = read_claims(reply)
    return [Claimed(put, claim, deadline) for put, claim in zip(puts, claims, strict=True)]
