"""The keys of a store, and its shards: made, looked at, dropped.

Everything of one user is in one shard, and each shard in one hash slot, so that one script does
each operation. What stands between braces decides the slot. A prefix is percent-encoded, so that it
cannot end the braces or be taken for another. No key holds a colon, so none is in ``<prefix>:*``,
where older software looks for its memories.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Sequence
from os import urandom
from typing import Any, NamedTuple
from urllib.parse import quote

from buddy.memory.errors import SchemaError, UnavailableError
from buddy.memory.storage.record import Kind
from buddy_memory_redis.transport import Command, Transport, call

SHARDS = 1
"""Shards of a new store on a single server."""

CLUSTER_SHARDS = 16
"""Shards of a new store in a cluster. Fewer spread its load unevenly; more make reads of all users
dearer."""

MAX_SHARDS = 1024

ATTEMPTS = 50
"""How often a call begins again because others drop the store and make it again."""

DROPPED = b"-"
"""The generation of a store that is being dropped, in its first shard."""

_NAMES = ("rows", "order", "users", "ids", "deadlines", "ends", "marks")


class Keys:
    """The keys of the store called ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._prefix = quote(prefix, safe="")
        self.earlier = f"buddy-memory/{{{self._prefix}}}/meta".encode()
        """A key that every store in the layout of an earlier release has."""
        self._words: dict[tuple[str, Kind | None, int], tuple[Any, ...]] = {}

    def meta(self, shard: int) -> bytes:
        """Return the key of what a shard says of the store."""
        return f"{self._root(shard)}/meta".encode()

    def of(self, kind: Kind, shard: int) -> tuple[bytes, ...]:
        """Return the keys of one kind of rows, as lib.lua names them."""
        root = self._root(shard)
        return tuple(f"{root}/{kind.value}/{name}".encode() for name in _NAMES)

    def _root(self, shard: int) -> str:
        return f"buddy-memory/{{{self._prefix}/{shard}}}"

    def call(self, script: str, kind: Kind | None, shard: int, *arguments: Any) -> Command:
        """Return the call of a script on the keys of a shard; without a kind, of all kinds."""
        words = self._words.get((script, kind, shard))
        if words is None:
            kinds = Kind if kind is None else (kind,)
            keys = self.meta(shard), *(key for one in kinds for key in self.of(one, shard))
            words = self._words[script, kind, shard] = call(script, keys).words
        return Command(words, arguments)

    def lookup(self, kind: Kind, shard: int, name: bytes) -> tuple[Command, Command]:
        """Return the commands that read the text of a row, and the generation of its shard."""
        words = self._words.get(("", kind, shard))
        if words is None:
            words = self._words["", kind, shard] = self.meta(shard), self.of(kind, shard)[0]
        meta, rows = words
        return Command(("HGET", rows), (name,)), Command(("HGET", meta, "generation"))


class Layout(NamedTuple):
    """What a store says of itself: its number of shards, and a token drawn when it was made."""

    shards: int
    generation: bytes

    def shard_of(self, user: bytes) -> int:
        """Return the shard of a user, given in its encoded form."""
        # Redis finds slots by the same function, but this one need not agree with it.
        return crc_hqx(user, 0) % self.shards


class _State(NamedTuple):
    """What was found: a store, or what is left of one that is being dropped, or neither."""

    layout: Layout | None
    dropped: Layout | None = None


class Schema:
    """Finds out how a store is laid out, and makes and drops it.

    The meta key of each shard holds the layout, and every script checks it: it does nothing unless
    its client knows the generation of the store. So a store that is dropped, and made again with
    another number of shards, is noticed by all who use it.

    The first shard decides. It is made first, and looked at again when the others were made. When
    the store is dropped, the first shard says so until the others are gone: a drop that was cut off
    is finished by the next one, or by whoever makes the store again.
    """

    def __init__(self, transport: Transport, prefix: str, shards: int | None) -> None:
        self._transport, self._wanted, self._prefix = transport, shards, prefix
        self.keys = Keys(prefix)

    async def look(self) -> Layout | None:
        """Return the layout of the store, or None where there is none.

        Raises SchemaError when it is that of an earlier release, or has another number of shards
        than is wanted. One round trip.
        """
        return (await self._state()).layout

    async def _state(self) -> _State:
        metas = [self.keys.meta(shard) for shard in range(self._shards())]
        earlier, *found = await self._transport.all(
            [
                Command(("EXISTS", self.keys.earlier)),
                *(Command(("HMGET", meta, "generation", "shards", "dropped")) for meta in metas),
            ]
        )
        if earlier:
            raise SchemaError(
                f"The store {self._prefix!r} has the layout of an earlier buddy-memory.",
                "Export it with the release that wrote it, and import it here.",
            )
        # Where the first shard was lost the others tell.
        first = next((reply for reply in found if reply[0] is not None), None)
        if first is None:
            return _State(None)
        if first[0] == DROPPED:
            return _State(None, Layout(int(first[1]), first[2]))
        return _State(self._checked(_layout(first)))

    def _checked(self, layout: Layout) -> Layout:
        if self._wanted in (None, layout.shards):
            return layout
        raise SchemaError(
            f"The store {self._prefix!r} has shards={layout.shards}, not {self._wanted}.",
            "Leave shards out; to change the number, copy the store into another one.",
        )

    def _shards(self) -> int:
        if self._wanted is not None:
            return self._wanted
        return CLUSTER_SHARDS if self._transport.is_cluster() else SHARDS

    async def create(self) -> Layout:
        """Make the store, where there is none, and open all its shards."""
        for _ in range(ATTEMPTS):
            state = await self._state()
            if state.dropped is not None:
                await self._finish_drop(state.dropped)
            proposed = state.layout or Layout(self._shards(), urandom(8).hex().encode())
            layout = _layout(await self._transport.one(self._open(0, proposed, b"")))
            if layout.generation != DROPPED and await self._open_all(self._checked(layout)):
                return layout
        raise self.gave_up()

    def gave_up(self) -> UnavailableError:
        """Return the error of a call that was disturbed again and again."""
        return UnavailableError("Redis", f"the store {self._prefix!r} is dropped again and again")

    async def _open_all(self, layout: Layout) -> bool:
        """Let all shards be of this layout; False when the store was dropped meanwhile."""
        if layout.shards == 1:
            return True
        shards = range(1, layout.shards)
        replies = await self._transport.all([self._open(n, layout, b"") for n in shards])
        found = [(n, _layout(reply)) for n, reply in zip(shards, replies, strict=True)]
        first = Command(("HGET", self.keys.meta(0), "generation"))
        if await self._transport.one(first) != layout.generation:
            return False
        # The first shard still has this generation, so another one is from before.
        others = [self._open(n, layout, old.generation) for n, old in found if old != layout]
        await self._transport.all(others)
        return not others

    def _open(self, shard: int, layout: Layout, replaced: bytes) -> Command:
        arguments = (layout.generation, layout.shards, replaced)
        return self.keys.call("open", None, shard, *arguments)

    async def drop(self) -> None:
        """Remove all keys of the store."""
        state = await self._state()
        dropped = state.layout or state.dropped
        if state.layout is not None:
            generation, shards = state.layout.generation, state.layout.shards
            meanwhile = DROPPED if shards > 1 else b""
            begin = self.keys.call("drop", None, 0, generation, meanwhile, shards)
            await self._transport.one(begin)
        if dropped is not None and dropped.shards > 1:
            await self._finish_drop(dropped)

    async def _finish_drop(self, dropped: Layout) -> None:
        generation, shards = dropped.generation, range(1, dropped.shards)
        await self._transport.all(
            [self.keys.call("drop", None, shard, generation, b"") for shard in shards]
        )
        await self._transport.one(self.keys.call("end_drop", None, 0, generation, DROPPED))


def _layout(reply: Sequence[Any]) -> Layout:
    return Layout(int(reply[1] or SHARDS), reply[0])
