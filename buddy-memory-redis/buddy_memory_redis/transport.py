"""Commands out, replies in: the same for synchronous and asynchronous clients, and for clusters.

redis-py's own way of running a command costs a sixth of what a call takes, its pipelines in a
cluster send a second time what may have been done, and ask a node for the keys of each script. So
commands are packed here, and connections of a pool that nobody else uses are kept at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple, Protocol

from redis.exceptions import NoScriptError

from buddy.memory.errors import MemoryDbError
from buddy.memory.storage.batching import Batcher
from buddy_memory_redis.errors import DRIVER_ERRORS, translate
from buddy_memory_redis.scripts import script, text_of

BATCH_CALLS = 100
BATCH_BYTES = 16 * 1024
"""How many calls of one event loop's tasks travel together, and how large each may be."""

# --- commands --------------------------------------------------------------------------------


class Command(NamedTuple):
    """A command: words that recur, packed once, and the arguments of this call."""

    words: tuple[Any, ...]
    arguments: tuple[Any, ...] = ()

    @property
    def key(self) -> bytes | None:
        """The first key, which decides the node: names of commands and scripts are no bytes."""
        words = (*self.words, *self.arguments)
        return next((word for word in words if isinstance(word, bytes)), None)

    def packed(self) -> bytes:
        """Return the command as it travels."""
        if not self.arguments:
            return _whole(self.words)
        count = len(self.words) + len(self.arguments)
        return b"*%d\r\n%b%b" % (count, _pack_once(self.words), _pack(self.arguments))

    def in_full(self) -> Command:
        """Return the call of a script with the text of the script."""
        return Command(("EVAL", text_of(self.words[1]), *self.words[2:]), self.arguments)


def call(name: str, keys: tuple[bytes, ...], *arguments: Any) -> Command:
    """Return the command that runs a script; all keys are in one hash slot."""
    return Command(("EVALSHA", script(name).sha, len(keys), *keys), arguments)


def _pack(words: Sequence[Any]) -> bytes:
    texts: list[int | bytes] = []
    for word in words:
        text = word if isinstance(word, bytes) else str(word).encode()
        texts += (len(text), text)
    return _form(len(words)) % tuple(texts)


_pack_once = lru_cache(4096)(_pack)


@lru_cache(4096)
def _whole(words: tuple[Any, ...]) -> bytes:
    return b"*%d\r\n%b" % (len(words), _pack(words))


@lru_cache(64)
def _form(words: int) -> bytes:
    return b"$%d\r\n%b\r\n" * words


# --- sending ---------------------------------------------------------------------------------


class Clients(Protocol):
    """Where a client comes from."""

    is_cluster: bool

    def get(self) -> Any:
        """Return the ``Line`` to use here and now."""
        ...

    def close(self) -> Any:
        """Close it, if it is ours; may have to be awaited."""


class _Call(NamedTuple):
    commands: Sequence[Command]
    packed: list[bytes]


class Transport:
    """Sends commands to wherever their keys are, and translates what goes wrong."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._batcher: Batcher[_Call, list[Any]] = Batcher(self._exchange_batch, BATCH_CALLS)

    async def one(self, command: Command) -> Any:
        """Return the reply to one command. Raises MemoryDbError."""
        (reply,) = await self.each([command])
        if isinstance(reply, MemoryDbError):
            raise reply
        return reply

    async def all(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to commands that are sent in one go. Raises the first error."""
        replies = await self.each(commands) if commands else []
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
            for reply in replies:
                if isinstance(reply, Exception):
                    break
            else:
                return replies
            unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                again = await self._send([commands[i].in_full() for i in unknown])
                for i, reply in zip(unknown, again, strict=True):
                    replies[i] = reply
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        return [translate(r) if isinstance(r, Exception) else r for r in replies]

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        line, packed = self._clients.get(), [command.packed() for command in commands]
        if line.is_async and sum(map(len, packed)) <= BATCH_BYTES:
            return await self._batcher.submit(_Call(commands, packed))
        replies: list[Any] = await line.exchange(commands, packed)
        return replies

    async def _exchange_batch(self, calls: list[_Call]) -> list[list[Any]]:
        """Send the commands of several tasks together; return each call's replies."""
        line = self._clients.get()
        if len(calls) == 1:
            return [await line.exchange(*calls[0])]
        commands = [command for call in calls for command in call.commands]
        packed = [text for call in calls for text in call.packed]
        replies = iter(await line.exchange(commands, packed))
        return [list(islice(replies, len(call.commands))) for call in calls]

    def line(self) -> Any:
        """Return the client to use here and now, and what is known of it."""
        return self._clients.get()

    def is_cluster(self) -> bool:
        """Tell whether the client is one of a cluster."""
        return self._clients.is_cluster

    async def scan(self, pattern: str) -> list[bytes]:
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


async def value_of(result: Any) -> Any:
    """Return what a call of a synchronous or an asynchronous client comes to."""
    # Not inspect.isawaitable, which asks an abstract class and costs as much as packing a command.
    return await result if hasattr(result, "__await__") else result
