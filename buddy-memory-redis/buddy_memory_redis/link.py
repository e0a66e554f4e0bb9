"""Commands out, replies in: the same for synchronous and asynchronous clients, and for clusters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Protocol

from redis.exceptions import NoScriptError

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.crowd import Crowd
from buddy_memory_redis.connections import Command, packed, value_of
from buddy_memory_redis.errors import DRIVER_ERRORS, translate
from buddy_memory_redis.line import Line
from buddy_memory_redis.scripts import script, text_of

TOGETHER_CALLS = 100
TOGETHER_BYTES = 16 * 1024
"""How many calls of one event loop's tasks travel together, and how large each may be."""

Packed = tuple[bytes, int]
"""Commands as they travel, and how many they are."""


class Clients(Protocol):
    """Where a client comes from; see ``buddy_memory_redis.clients``."""

    def get(self) -> Line:
        """Return the client to use here and now."""
        ...

    def close(self) -> Any:
        """Close it, if it is ours; may have to be awaited."""


def call(name: str, keys: Sequence[bytes], *arguments: Any) -> Command:
    """Return the command that runs a script; all ``keys`` are in one hash slot."""
    return ("EVALSHA", script(name).sha, len(keys), *keys, *arguments)


class Link:
    """Sends commands to wherever their keys are, and translates what goes wrong."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._crowd: Crowd[Packed, list[Any]] = Crowd(self._exchange_together, TOGETHER_CALLS)

    async def one(self, command: Command) -> Any:
        """Return the reply to one command. Raises MemoryDbError."""
        (reply,) = await self.each([command])
        if isinstance(reply, MemoryDbError):
            raise reply
        return reply

    async def all(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to commands that are sent in one go. Raises the first error."""
        replies = await self.each(commands)
        for reply in replies:
            if isinstance(reply, MemoryDbError):
                raise reply
        return replies

    async def each(self, commands: Sequence[Command]) -> list[Any]:
        """Return for each command its reply or its error. Raises when there was no answer at all.

        A server that does not know a script (it was restarted, or is another one behind a proxy)
        gets its text.
        """
        try:
            replies = await self._send(commands)
            unknown = [i for i, r in enumerate(replies) if isinstance(r, NoScriptError)]
            if unknown:
                again = await self._send([_in_full(commands[i]) for i in unknown])
                for i, reply in zip(unknown, again, strict=True):
                    replies[i] = reply
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        return [translate(r) if isinstance(r, Exception) else r for r in replies]

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        line = self._clients.get()
        if line.cluster is not None:
            return await line.cluster.send(commands)
        text = packed(commands)
        if line.is_async and len(text) <= TOGETHER_BYTES:
            return await self._crowd.ask((text, len(commands)))
        return await line.connections.exchange(text, len(commands))

    async def _exchange_together(self, calls: list[Packed]) -> list[list[Any]]:
        """Send what several tasks want over one connection; return each one's replies."""
        connections = self._clients.get().connections
        if len(calls) == 1:
            return [await connections.exchange(*calls[0])]
        texts, counts = zip(*calls, strict=True)
        replies = iter(await connections.exchange(b"".join(texts), sum(counts)))
        return [list(islice(replies, count)) for count in counts]

    def line(self) -> Line:
        """Return the client to use here and now, and what is known of it."""
        return self._clients.get()

    async def keys(self, pattern: str) -> list[bytes]:
        """Walk the keyspace for strings whose names match; for upgrades only."""
        try:
            found = self.line().client.scan_iter(match=pattern, count=1000, _type="string")
            names = [key async for key in found] if hasattr(found, "__aiter__") else list(found)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        return [name.encode() if isinstance(name, str) else name for name in names]

    async def close(self) -> None:
        """Close the client, if it is ours."""
        await value_of(self._clients.close())


def _in_full(command: Command) -> Command:
    return ("EVAL", text_of(command[1]), *command[2:])
