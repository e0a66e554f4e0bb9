"""Writes and deletions in one step, where the directory and the shelves are on one server.

A single server does both steps in one script: there is no moment in between, and so no
intent and nothing to repair. Whether there is one server cannot be told from a client: behind an
address may stand a proxy that spreads keys over several. So it is found out, and proved anew by
each write, by what is in the server:

- The directory draws numbers that only grow, and keeps the last one. Nobody else has that key.
- Along with the second step of a write, the number that its first step drew is looked for from the
  shelf (near.lua). When it is there, later writes are sent in one step, with that number.
- That script goes to the server of the shelf, and does nothing unless the directory's last number
  is there and not less (upsert.lua, erase.lua). Otherwise it is done in two steps, and all is open
  again.

A cluster refuses scripts with keys of two slots before it runs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buddy.memory.storage.record import Kind, Record
from buddy_memory_redis.connections import Command
from buddy_memory_redis.directory import Directory, Entry, read_claim
from buddy_memory_redis.errors import crosses_slots
from buddy_memory_redis.keys import Keys, user_part
from buddy_memory_redis.link import Link, call
from buddy_memory_redis.rows import Put, dump_time, made


class Together:
    """What is known of where the directory is, and the commands that rest on it."""

    def __init__(self, link: Link, keys: Keys, directory: Directory) -> None:
        self._link, self._keys, self._directory = link, keys, directory
        self._drawn = b""
        self._apart = False
        self.is_likely = False

    # --- finding out

    def look(self, record: Record, drawn: bytes) -> list[Command]:
        """Return the command that looks for a number of the directory from the shelf of a record;
        none where the answer is known. ``seen`` takes the reply."""
        if self._apart or self.is_likely or self._link.line().cluster is not None:
            return []
        keys = self._keys.shelf(record.kind, record.user_id)[0], self._keys.meta
        return [call("near", keys, drawn)]

    def seen(self, reply: Any, drawn: bytes) -> None:
        """Take the reply to ``look``. Who refuses two slots in one command has them apart."""
        if reply == 1:
            self._drawn = drawn
            self.is_likely = True
        else:
            self._apart = True

    def is_elsewhere(self, reply: Any) -> bool:
        """Tell whether a script did nothing since the directory is not where the shelf is."""
        if reply != b"elsewhere" and not crosses_slots(reply):
            return False
        self.is_likely = False
        return True

    # --- writing and deleting

    async def placed(self, puts: list[Put]) -> list[Put]:
        """Give the writes places in their order: one round trip, if there are more than one."""
        if len(puts) == 1 or puts[0].place:
            return puts
        first = await self._directory.reserve(puts[0].write.record.kind, len(puts))
        return [Put(put.write, put.text, b"%d" % (first + n)) for n, put in enumerate(puts)]

    def upsert(self, puts: Sequence[Put], ttl: int) -> Command:
        """Return the command that writes rows of one user; see upsert.lua for what it returns."""
        first = puts[0].write
        kind, user_id = first.record.kind, first.record.user_id
        expected = "" if first.if_version is None else first.if_version
        time, ended = dump_time(first.now), self._directory.ended_so_far(kind)
        arguments: list[Any] = [self._drawn, user_part(user_id).encode(), ttl, expected, time]
        arguments += ended
        for write, text, place in puts:
            record = write.record
            arguments += (record.id.encode(), place, made(record, first.now), text)
        return call("upsert", self._keys_of(kind, user_id), *arguments)

    def erase(self, kind: Kind, id: str, user_id: str | None, if_version: int | None) -> Command:
        """Return the command that deletes a row of that user; see erase.lua for what it returns."""
        user, expected = user_part(user_id).encode(), "" if if_version is None else if_version
        ended = self._directory.ended_so_far(kind)
        keys = self._keys_of(kind, user_id)
        return call("erase", keys, self._drawn, user, expected, *ended, id.encode())

    def _keys_of(self, kind: Kind, user_id: str | None) -> tuple[bytes, ...]:
        return self._keys.shelf(kind, user_id) + self._keys.directory(kind)


def strangers(puts: Sequence[Put], reply: Sequence[bytes]) -> list[Entry]:
    """Return the ids that others own, from the reply to ``upsert``, which then wrote nothing."""
    owners = []
    for number, outcome in zip(reply[::2], reply[1::2], strict=True):
        if outcome.startswith(b"other"):
            claim = read_claim(outcome)
            id = puts[int(number)].write.record.id
            owners.append(Entry(id, 0, claim.owner, claim.token))
    return owners
