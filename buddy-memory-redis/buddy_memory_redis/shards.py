"""Calls of scripts on the shards of a store, whatever becomes of the store meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from buddy.memory.storage.record import Kind
from buddy_memory_redis.schema import ATTEMPTS, Layout, Schema
from buddy_memory_redis.transport import Command, Transport

T = TypeVar("T")

ROWS = 500
"""Rows in one script at most: it holds up the server for as long as it runs."""


class LayoutChangedError(Exception):
    """The store was dropped, and may have been made again, since its layout was looked at."""


class Shards:
    """The shards of one store. Their layout is looked at when it is first needed, and again when a
    script finds another generation."""

    def __init__(self, transport: Transport, schema: Schema) -> None:
        self.transport, self.schema = transport, schema
        self._layout: Layout | None = None

    def call(self, layout: Layout, script: str, kind: Kind, shard: int, *arguments: Any) -> Command:
        """Return the call of a script on a shard."""
        return self.schema.keys.call(script, kind, shard, layout.generation, *arguments)

    async def made(self) -> Layout:
        """Return the layout of the store, which is made where there is none."""
        if self._layout is None:
            self._layout = await self.schema.create()
        return self._layout

    def forget(self) -> None:
        """Look at the layout again before it is used the next time."""
        self._layout = None

    async def write(
        self,
        script: str,
        kind: Kind,
        user: bytes,
        arguments: Callable[[Layout, int], Sequence[Any]],
    ) -> Any:
        """Return the reply of a script on the shard of a user; the store is made where there is
        none. ``arguments`` are told the layout and the shard."""
        for _ in range(ATTEMPTS):
            layout = self._layout or await self.made()
            shard = layout.shard_of(user)
            call = self.call(layout, script, kind, shard, *arguments(layout, shard))
            reply = await self.transport.one(call)
            if reply is not None:
                return reply
            self._layout = None
        raise self.schema.gave_up()

    async def read(self, operation: Callable[[Layout], Awaitable[T]], nothing: T) -> T:
        """Return what an operation makes of the store, or ``nothing`` where there is no store.

        The operation begins again when it raises LayoutChangedError.
        """
        for _ in range(ATTEMPTS):
            layout = await self.known()
            if layout is None:
                return nothing
            try:
                return await operation(layout)
            except LayoutChangedError:
                continue
        raise self.schema.gave_up()

    async def all(self, layout: Layout, calls: Sequence[Command]) -> list[Any]:
        """Return the replies to calls of scripts; None of a shard that holds nothing.

        Raises LayoutChangedError when the layout is not that of the store any more.
        """
        replies = await self.transport.all(calls)
        if None in replies and await self.is_changed(layout):
            raise LayoutChangedError
        return replies

    async def known(self) -> Layout | None:
        """Return the layout, or None where there is no store."""
        if self._layout is None:
            self._layout = await self.schema.look()
        return self._layout

    async def is_changed(self, layout: Layout) -> bool:
        """Tell whether the store has another layout by now, or is not there any more."""
        self._layout = await self.schema.look()
        return self._layout != layout

    async def run(self, script: str, kind: Kind, user: bytes, *arguments: Any) -> Any:
        """Return the reply of a script on the shard of a user; None where there is no store."""

        async def operation(layout: Layout) -> Any:
            call = self.call(layout, script, kind, layout.shard_of(user), *arguments)
            return (await self.all(layout, [call]))[0]

        return await self.read(operation, None)

    async def on_all(
        self, script: str, kind: Kind, parts: Sequence[Sequence[Any]] = ((),)
    ) -> list[Any]:
        """Return the replies of a script on all shards, with each of the arguments."""

        async def operation(layout: Layout) -> list[Any]:
            shards = range(layout.shards)
            calls = [self.call(layout, script, kind, n, *part) for n in shards for part in parts]
            return [reply for reply in await self.all(layout, calls) if reply is not None]

        return await self.read(operation, [])

    async def walk(
        self,
        script: str,
        kind: Kind,
        user: bytes | None,
        arguments: Callable[[Any], Sequence[Any]],
        is_at_end: Callable[[Any], bool],
    ) -> list[Any]:
        """Call a script on the shard of a user (None: on all shards) until it has come to its end,
        which its reply tells; return all replies. ``arguments`` come from the reply before, None at
        first."""

        async def operation(layout: Layout) -> list[Any]:
            shards = range(layout.shards) if user is None else [layout.shard_of(user)]
            last: dict[int, Any] = dict.fromkeys(shards)
            found: list[Any] = []
            while last:
                calls = [
                    self.call(layout, script, kind, shard, *arguments(reply))
                    for shard, reply in last.items()
                ]
                replies = dict(zip(last, await self.all(layout, calls), strict=True))
                found += [reply for reply in replies.values() if reply is not None]
                last = {n: r for n, r in replies.items() if r is not None and not is_at_end(r)}
            return found

        return await self.read(operation, [])


def portions(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return the items in their order, ``size`` at a time."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def by_shard(layout: Layout, users: Iterable[bytes]) -> list[tuple[int, list[int]]]:
    """Return for each shard the numbers of its users in the list, ROWS at most; a shard that has
    more comes several times."""
    shards: dict[int, list[list[int]]] = {}
    for number, user in enumerate(users):
        lists = shards.setdefault(layout.shard_of(user), [[]])
        if len(lists[-1]) == ROWS:
            lists.append([])
        lists[-1].append(number)
    return [(shard, numbers) for shard, lists in shards.items() for numbers in lists]
