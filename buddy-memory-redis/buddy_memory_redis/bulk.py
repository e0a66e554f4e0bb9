"""Many rows written: in scripts and pipelines of bounded size, in one order over all shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.record import Key, Kind, Record, Write
from buddy_memory_redis.encoding import (
    Put,
    dump,
    dump_user,
    inserted,
    load_time,
    put_options,
    written,
)
from buddy_memory_redis.schema import ATTEMPTS, Layout
from buddy_memory_redis.shards import ROWS, Shards
from buddy_memory_redis.transport import Command

COMMANDS = 100
"""Commands in one pipeline at most."""

BYTES = 4 * 1024 * 1024
"""Payload in one command, and in one pipeline, more or less: a server holds each in memory."""

WINDOW = 10_000
"""Rows of a bulk write under way at once."""

SLACK = 10_000
"""Positions set aside besides those needed: as many µs may the clocks of nodes differ before
setting positions aside takes one more round trip."""


class BulkWrite:
    """One call's writes, of distinct keys and one kind. ``done`` is what was stored."""

    def __init__(self, shards: Shards, kind: Kind, floor: int, *, new_only: bool = False) -> None:
        self._shards, self._kind, self._floor = shards, kind, floor
        self._new_only = new_only
        self.left_alone: set[Key] = set()
        self.done: dict[Key, Record] = {}

    async def apply(self, writes: Sequence[Write]) -> list[Record]:
        """Store all, and return the records in order. Raises the first error, with ``stored``."""
        try:
            for puts in _bounded((dump(write) for write in writes), WINDOW, 16 * BYTES):
                await self._apply_window(puts)
        except MemoryDbError as error:
            error.stored = tuple(self.done)
            raise
        return [
            self.done[key] for write in writes if (key := write.record.key) not in self.left_alone
        ]

    async def _apply_window(self, puts: Sequence[Put]) -> None:
        for _ in range(ATTEMPTS):
            layout = await self._shards.made()
            placed = await self._placed(layout, puts)
            for batch in _pipelines(layout, placed):
                await self._send(layout, batch)
            settled = self.done.keys() | self.left_alone
            puts = [put for put in puts if put.write.record.key not in settled]
            if not puts:
                return
            self._shards.forget()  # Others dropped the store.
        raise self._shards.schema.gave_up()

    async def _placed(self, layout: Layout, puts: Sequence[Put]) -> Sequence[Put]:
        """Give the rows positions in their order. In one shard the script does it."""
        if layout.shards == 1:
            return puts
        shards = [layout.shard_of(dump_user(put.write.record.user_id)) for put in puts]
        size = layout.shards
        base = await self._reserve(layout, sorted({*shards}), (len(puts) + 2) * size)
        first = base // size + 1
        return [
            put._replace(place=(first + i) * size + shard)
            for i, (put, shard) in enumerate(zip(puts, shards, strict=True))
        ]

    async def _reserve(self, layout: Layout, shards: Sequence[int], count: int) -> int:
        """Set positions aside that are free in all these shards; return the first one."""
        for _ in range(ATTEMPTS):
            replies = await self._shards.transport.all(
                [
                    self._shards.call(
                        layout, "reserve", self._kind, shard, self._floor, count + SLACK
                    )
                    for shard in shards
                ]
            )
            found = [reply for reply in replies if reply is not None]
            if not found:  # Others dropped the store; the writes will find that, too.
                break
            self._floor = max(int(first) for first, _ in found)
            if all(self._floor + count <= int(last) for _, last in found):
                break
        return self._floor

    async def _send(self, layout: Layout, batch: Sequence[tuple[int, list[Put]]]) -> None:
        replies = await self._shards.transport.each(
            [self._command(layout, shard, puts) for shard, puts in batch]
        )
        failed: MemoryDbError | None = None
        for (shard, puts), reply in zip(batch, replies, strict=True):
            if isinstance(reply, MemoryDbError):
                failed = failed or reply
            elif reply is not None:
                self._note(layout, shard, puts, reply)
        if failed is not None:
            raise failed

    def _command(self, layout: Layout, shard: int, puts: Sequence[Put]) -> Command:
        where = (layout.shards, shard, self._floor)
        options = put_options(puts[0].write, new_only=self._new_only)
        arguments: list[Any] = [*options, *where]
        for put in puts:
            arguments += put.arguments()
        return self._shards.call(layout, "put", self._kind, shard, *arguments)

    def _note(self, layout: Layout, shard: int, puts: Sequence[Put], reply: Any) -> None:
        """Keep the records of one script, from what it returned."""
        if len(puts) == 1:
            self._note_head(puts[0], reply)
            return
        first, expires = int(reply[0]), reply[1]
        expires_at = load_time(expires) if expires else None
        heads = dict(zip(map(int, reply[2::2]), reply[3::2], strict=True))
        for n, put in enumerate(puts, 1):
            place = put.place
            if place is None:
                place = first + (n - 1) * layout.shards
            head = heads.get(n)
            if head is None:
                self.done[put.write.record.key] = inserted(put, place, expires_at)
            else:
                self._note_head(put, head)

    def _note_head(self, put: Put, head: bytes) -> None:
        if head:
            self.done[put.write.record.key] = written(put, head)
        else:
            self.left_alone.add(put.write.record.key)


def _bounded(puts: Iterable[Put], rows: int, size: int) -> Iterator[list[Put]]:
    """Yield the writes in lists of at most so many rows, and about so many bytes."""
    some: list[Put] = []
    total = 0
    for put in puts:
        some.append(put)
        total += len(put.body)
        if len(some) == rows or total > size:
            yield some
            some, total = [], 0
    if some:
        yield some


def _pipelines(layout: Layout, puts: Sequence[Put]) -> Iterator[list[tuple[int, list[Put]]]]:
    """Yield what goes into one pipeline: writes of one shard, a command each."""
    shards: dict[int, list[Put]] = {}
    for put in puts:
        shard = layout.shard_of(dump_user(put.write.record.user_id))
        shards.setdefault(shard, []).append(put)
    batch: list[tuple[int, list[Put]]] = []
    size = 0
    for shard, members in shards.items():
        for some in _bounded(members, ROWS, BYTES):
            batch.append((shard, some))
            size += sum(len(put.body) for put in some)
            if len(batch) == COMMANDS or size > BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch
