"""Rows in order of their positions: of one user, of all, and of the users with one prefix."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from math import isfinite, sqrt
from typing import Any

from buddy.memory.storage.record import Corrupt, Kind, Reach, Record, Scope
from buddy.memory.storage.users import decode_user, prefix_range
from buddy_memory_redis.encoding import dump_user, load
from buddy_memory_redis.reading import read_many
from buddy_memory_redis.schema import Layout
from buddy_memory_redis.shards import Shards
from buddy_memory_redis.transport import Command

Rows = list["Record | Corrupt"]

MAX_ROWS = 1000
"""Rows in one reply at most."""

_ID_AT = 18
"""Where the id begins in the name of a row behind its user: after a position between two NULs."""


def user_range(scope: Scope) -> tuple[bytes, bytes]:
    """Return the range of a scope in the index that is sorted by users."""
    if scope.reach is Reach.USER:
        user = dump_user(scope.name)
        return b"[%b\0" % user, b"(%b\1" % user
    low, high = prefix_range(scope.name or "")
    return b"[%b" % low.encode(), b"+" if high is None else b"(%b" % high.encode()


async def read_page(
    shards: Shards, kind: Kind, scope: Scope, newest_first: bool, after: Any, limit: int | None
) -> Rows:
    """Return up to ``limit`` rows of the scope behind the position ``after``."""
    order = "desc" if newest_first else "asc"

    async def operation(layout: Layout) -> Rows:
        if scope.reach is Reach.PREFIX:
            return await _PrefixPage(shards, layout, kind, order, scope).read(after, limit)
        numbers: Sequence[int] = range(layout.shards)
        user: tuple[Any, ...] = ()
        if scope.reach is Reach.USER:
            name = dump_user(scope.name)
            numbers, user = [layout.shard_of(name)], ("user", name)
        return await _Merge(shards, layout, kind, order, user).read(numbers, after, limit)

    return await shards.read(operation, [])


async def read_stamps(
    shards: Shards, kind: Kind, user_id: str | None
) -> list[tuple[str, int | None]]:
    """Return id and stamp of each row of the user, in the order of first writing."""
    user = dump_user(user_id)

    def arguments(reply: Any) -> tuple[Any, ...]:
        return "asc", reply[0] if reply else b"", MAX_ROWS, "user", user, "stamps"

    replies = await shards.walk("page", kind, user, arguments, lambda reply: not reply[0])
    id_at = len(user) + _ID_AT
    return [
        (reply[i][id_at:].decode(errors="backslashreplace"), int(reply[i + 1]))
        for reply in replies
        for i in range(1, len(reply), 2)
        if reply[i + 1]
    ]


class _Stream:
    """The rows of one shard, read in parts: positions, names and texts."""

    def __init__(self, shard: int, after: Any) -> None:
        self.shard = shard
        self.after: Any = b"" if after is None else after
        self.rows: deque[tuple[int, list[str], bytes]] = deque()
        self.is_at_end = False

    def take(self, reply: Sequence[bytes] | None, position_at: int) -> None:
        """Take the reply of page.lua; None: the shard holds nothing."""
        found = reply or (b"",)
        self.after = found[0]
        self.is_at_end = not self.after
        for i in range(1, len(found), 2):
            name = found[i].decode(errors="backslashreplace").split("\0")
            self.rows.append((_number(name.pop(position_at)), name, found[i + 1]))


def _number(position: str) -> int:
    """Return a position as a number, also one that was edited by hand: rounded, or the last."""
    try:
        return int(position)
    except ValueError:
        number = float(position)
        return int(number) if isfinite(number) else 2**63 - 1


class _Merge:
    """The rows of several shards in one order. A shard is asked again when its rows run out."""

    def __init__(
        self, shards: Shards, layout: Layout, kind: Kind, order: str, user: tuple[Any, ...]
    ) -> None:
        self._shards, self._layout = shards, layout
        self._kind, self._order, self._user = kind, order, user

    async def read(self, numbers: Sequence[int], after: Any, limit: int | None) -> Rows:
        streams = [_Stream(shard, after) for shard in numbers]
        if len(streams) == 1:
            return await self._read_one(streams, limit)
        found: Rows = []
        sign = -1 if self._order == "desc" else 1
        heap: list[tuple[int, int]] = []
        empty = list(range(len(streams)))
        while limit is None or len(found) < limit:
            if empty:
                left = None if limit is None else limit - len(found)
                await self._fill([streams[n] for n in empty], _share(left, len(streams)))
                heap += [(sign * streams[n].rows[0][0], n) for n in empty if streams[n].rows]
                heapify(heap)
            if not heap:
                break
            number = heappop(heap)[1]
            stream = streams[number]
            found.append(self._load(stream.rows.popleft()))
            empty = [] if stream.rows or stream.is_at_end else [number]
            if stream.rows:
                heappush(heap, (sign * stream.rows[0][0], number))
        return found

    async def _read_one(self, streams: Sequence[_Stream], limit: int | None) -> Rows:
        found: Rows = []
        (stream,) = streams
        while not stream.is_at_end and (limit is None or len(found) < limit):
            left = None if limit is None else limit - len(found)
            await self._fill(streams, _share(left, 1))
            found += map(self._load, stream.rows)
            stream.rows.clear()
        return found

    def _load(self, row: tuple[int, list[str], bytes]) -> Record | Corrupt:
        position, (user, id), text = row
        return load(self._kind, decode_user(user), id, text, position)

    async def _fill(self, streams: Sequence[_Stream], count: int) -> None:
        """Read the next rows of some shards, until each has some or is at its end."""
        position_at = 1 if self._user else 0
        while streams:
            calls = [self._call(stream, count) for stream in streams]
            replies = await self._shards.all(self._layout, calls)
            for stream, reply in zip(streams, replies, strict=True):
                stream.take(reply, position_at)
            streams = [s for s in streams if not s.rows and not s.is_at_end]

    def _call(self, stream: _Stream, count: int) -> Command:
        arguments = (self._order, stream.after, count, *self._user)
        return self._shards.call(self._layout, "page", self._kind, stream.shard, *arguments)


def _share(wanted: int | None, shards: int) -> int:
    """Return how many rows to read from each shard so that these are hardly ever too few."""
    if wanted is None:
        return MAX_ROWS
    mean = wanted / shards
    return min(wanted if shards == 1 else int(mean + 3 * sqrt(mean) + 3), MAX_ROWS)


class _PrefixPage:
    """A page of the users with one prefix: first the places, then the rows in these."""

    def __init__(
        self, shards: Shards, layout: Layout, kind: Kind, order: str, scope: Scope
    ) -> None:
        self._shards, self._layout = shards, layout
        self._kind, self._order = kind, order
        self._range = user_range(scope)

    async def read(self, after: Any, limit: int | None) -> Rows:
        found: Rows = []
        while limit is None or len(found) < limit:
            wanted = None if limit is None else min(limit - len(found), MAX_ROWS)
            places = (await self._places(after, wanted))[:wanted]
            rows = await read_many(self._shards, self._layout, self._kind, places)
            found += [row for row in rows if row is not None]
            if wanted is None or len(places) < wanted:
                break
            after = places[-1][0]  # Some rows may have been deleted since.
        return found

    async def _places(self, after: Any, wanted: int | None) -> list[tuple[int, bytes]]:
        """Return positions and fields in order, the first ``wanted`` among them."""
        begins = dict.fromkeys(range(self._layout.shards), self._range[0])
        places: list[tuple[int, bytes]] = []
        is_desc = self._order == "desc"
        start, count = b"" if after is None else after, b"" if wanted is None else wanted
        while begins:
            calls = [
                self._call(shard, start, count, begin, self._range[1])
                for shard, begin in begins.items()
            ]
            replies = await self._shards.all(self._layout, calls)
            found = dict(zip(begins, replies, strict=True))
            begins = {shard: reply[0] for shard, reply in found.items() if reply and reply[0]}
            for reply in filter(None, replies):
                places += [(int(reply[i]), reply[i + 1]) for i in range(1, len(reply), 2)]
        if after is not None:
            places = [p for p in places if (p[0] < after if is_desc else p[0] > after)]
        return sorted(places, reverse=is_desc)

    def _call(self, shard: int, *arguments: Any) -> Command:
        return self._shards.call(self._layout, "heads", self._kind, shard, self._order, *arguments)
