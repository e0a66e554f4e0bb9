"""The shelves of a store: the rows of one user, in one hash slot for each user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy_memory_redis.batches import COMMANDS, IDS, grouped
from buddy_memory_redis.connections import Command
from buddy_memory_redis.directory import Claim, Doomed, Entry
from buddy_memory_redis.keys import Keys
from buddy_memory_redis.link import Link, call
from buddy_memory_redis.rows import Put, dump_time, expires, load, made


class Shelves:
    """The shelves of all users of one store."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link, self._keys = link, keys

    def _call(self, name: str, kind: Kind, user_id: str | None, *arguments: Any) -> Command:
        return call(name, self._keys.shelf(kind, user_id), *arguments)

    # --- writing

    def put(
        self,
        puts: Sequence[Put],
        claims: Sequence[Claim],
        deadline: bytes = b"0",
        *,
        lasting_only: bool = False,
    ) -> Command:
        """Return the command that writes rows of one user; see put.lua for what it returns."""
        first = puts[0].write
        expected = "" if first.if_version is None else first.if_version
        arguments: list[Any] = [dump_time(first.now), deadline, int(lasting_only), expected]
        for put, claim in zip(puts, claims, strict=True):
            record = put.write.record
            begin = made(record, first.now)
            arguments += (
                record.id.encode(),
                claim.token,
                put.place or claim.token,
                claim.open,
                begin,
                put.text,
            )
        return self._call("put", first.record.kind, first.record.user_id, *arguments)

    def remove(
        self,
        kind: Kind,
        user_id: str | None,
        doomed: Sequence[Doomed],
        expected: int | None = None,
    ) -> Command:
        """Return the command that deletes rows of one user; see remove.lua for what it returns."""
        arguments: list[Any] = []
        version = "" if expected is None else expected
        for one in doomed:
            arguments += (one.id.encode(), version, one.token, one.open)
        return self._call("remove", kind, user_id, *arguments)

    # --- reading

    async def get(self, kind: Kind, user_id: str | None, id: str, *, at_once: bool) -> bytes | None:
        """Return the stored text of a row of that user, or None.

        One round trip for a row that lasts. One that expires takes a script, since only its server
        knows the time; with ``at_once`` that is what is sent first.
        """
        name = id.encode()
        text: bytes | None = None
        if not at_once:
            text = await self._link.one(("HGET", self._keys.shelf(kind, user_id)[0], name))
            at_once = text is not None and expires(text)
        if at_once:
            (text,) = await self._link.one(self._call("fetch", kind, user_id, name))
        return text

    async def fetch(self, kind: Kind, entries: Sequence[Entry]) -> list[Record | Corrupt | None]:
        """Return the row of each entry, or None where there is none, in the same order."""
        texts = await self._by_owner(entries, lambda user, some: self._fetch(kind, user, some))
        return [
            None if text is None else load(kind, e.id, e.owner, e.position, text)
            for e, text in zip(entries, texts, strict=True)
        ]

    def _fetch(self, kind: Kind, user_id: str | None, entries: Sequence[Entry]) -> Command:
        return self._call("fetch", kind, user_id, *(entry.id.encode() for entry in entries))

    async def page(
        self, kind: Kind, user_id: str | None, newest_first: bool, after: Any, limit: int
    ) -> list[Record | Corrupt]:
        """Return up to ``limit`` rows of that user in order."""
        order, start = "desc" if newest_first else "asc", "" if after is None else after
        found = await self._link.one(self._call("list", kind, user_id, order, start, limit))
        return [
            load(kind, found[i].decode(), user_id, int(found[i + 1]), found[i + 2])
            for i in range(0, len(found), 3)
        ]

    async def ids(self, kind: Kind, user_id: str | None) -> list[str]:
        """Return the ids of the first rows of that user, IDS at most."""
        index = self._keys.shelf(kind, user_id)[1]
        return [id.decode() for id in await self._link.one(("ZRANGE", index, 0, IDS - 1))]

    async def count(self, kind: Kind, user_id: str | None) -> int:
        """Count the rows of that user."""
        return int(await self._link.one(self._call("count", kind, user_id)))

    async def probe(self, kind: Kind, entries: Sequence[Entry], *, fence: bool) -> list[bytes]:
        """Return for each entry the position of its row, or GONE.

        With ``fence``, inserts and deletions on that token or an earlier one are refused from now
        on: what was found stays so, unless somebody begins anew.
        """
        return await self._by_owner(
            entries,
            lambda user, some: self._call(
                "probe",
                kind,
                user,
                int(fence),
                *(a for e in some for a in (e.id.encode(), e.token)),
            ),
        )

    async def _by_owner(self, entries: Sequence[Entry], command: Any) -> list[Any]:
        """Send one command for each owner, in pipelines of bounded size; return a reply for each
        entry, in the order of the entries."""
        groups = grouped(range(len(entries)), lambda i: entries[i].owner)
        replies: list[Any] = [None] * len(entries)
        for start in range(0, len(groups), COMMANDS):
            some = groups[start : start + COMMANDS]
            answers = await self._link.all(
                [command(user, [entries[i] for i in members]) for user, members in some]
            )
            for (_, members), answer in zip(some, answers, strict=True):
                for i, reply in zip(members, answer, strict=True):
                    replies[i] = reply
        return replies
