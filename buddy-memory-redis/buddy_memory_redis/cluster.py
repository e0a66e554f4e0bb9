"""Commands to the nodes of a cluster, each to the one that has its slot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from redis.exceptions import AskError, MovedError, TryAgainError

from buddy_memory_redis.connections import Connections, is_ready, reply_of
from buddy_memory_redis.errors import DRIVER_ERRORS
from buddy_memory_redis.transport import Command, value_of

_ELSEWHERE = (MovedError, AskError, TryAgainError)
"""Refusals of a node while a slot moves: the command was not done."""

_RAW = {"NEVER_DECODE": True}
"""Replies as bytes, also from a client with decode_responses: a damaged row need not be UTF-8."""


class Cluster:
    """The nodes that a client of a cluster knows. Each command goes to the one with its slot."""

    def __init__(self, client: Any, timeout: float | None, *, is_async: bool, own: bool) -> None:
        self._client, self._timeout, self._is_async = client, timeout, is_async
        self._own = own
        self._is_outdated = False
        # Nodes come and go: the connections of those that went must not be held.
        self._kept: WeakKeyDictionary[Any, Connections] = WeakKeyDictionary()

    async def exchange(self, commands: Sequence[Command], packed: Sequence[bytes]) -> list[Any]:
        """Return for each command its reply or its error. None is sent again that may have been
        done."""
        await self._learn()
        replies = await self._exchange(commands, packed)
        for i, reply in enumerate(replies):
            if isinstance(reply, _ELSEWHERE):
                replies[i] = await self._follow(commands[i])
        return replies

    async def _learn(self) -> None:
        """Find out which nodes there are: at first, and when one was out of reach."""
        if self._is_async:
            await self._client.initialize()
        if self._is_outdated:
            await value_of(self._client.nodes_manager.initialize())
            self._is_outdated = False

    async def _follow(self, command: Command) -> Any:
        """Let the client find out where a command has to go."""
        try:
            return await value_of(
                self._client.execute_command(*command.words, *command.arguments, **_RAW)
            )
        except DRIVER_ERRORS as error:
            return error

    async def _exchange(self, commands: Sequence[Command], packed: Sequence[bytes]) -> list[Any]:
        """Send to all nodes, and then read from all."""
        batches: dict[Any, _Batch] = {}
        for i, command in enumerate(commands):
            node = self._node_of(command)
            if node not in batches:
                batches[node] = _Batch(self._connections(node))
            batches[node].numbers.append(i)
        try:
            for batch in batches.values():
                await batch.send([packed[i] for i in batch.numbers])
            for batch in batches.values():
                await batch.read()
        finally:
            for batch in batches.values():
                await batch.end()
        if any(batch.is_broken for batch in batches.values()):
            self._is_outdated = True
        found = {i: r for batch in batches.values() for i, r in batch.answers()}
        return [found[i] for i in range(len(commands))]

    def _node_of(self, command: Command) -> Any:
        key = command.key
        if key is None:
            return self._client.get_default_node()
        return self._client.get_node_from_key(key)

    def _connections(self, node: Any) -> Connections:
        if self._is_async:
            return Connections(_AsyncNode(node), self._timeout, is_async=True, own=False)
        pool = self._client.get_redis_connection(node).connection_pool
        found = self._kept.get(pool)
        if found is None:
            found = Connections(pool, self._timeout, is_async=False, own=self._own)
            self._kept[pool] = found
        return found


class _Batch:
    """Commands for one node; ``numbers`` says which of all they are."""

    def __init__(self, connections: Connections) -> None:
        self.numbers: list[int] = []
        self.is_broken = False
        self._connections = connections
        self._connection: Any = None
        self._replies: list[Any] = []

    async def send(self, packed: Sequence[bytes]) -> None:
        try:
            self._connection = await self._connections.take()
            await value_of(self._connection.send_packed_command([b"".join(packed)]))
        except DRIVER_ERRORS as error:
            self._fail(error)

    async def read(self) -> None:
        try:
            while self._is_unread():
                self._replies.append(await reply_of(self._connection))
        except DRIVER_ERRORS as error:
            self._fail(error)

    def _is_unread(self) -> bool:
        return len(self._replies) < len(self.numbers)

    def _fail(self, error: Exception) -> None:
        """Let the error be the reply to what has none."""
        self.is_broken = True
        self._replies += [error] * (len(self.numbers) - len(self._replies))

    async def end(self) -> None:
        """Give the connection back, whatever happened."""
        if self._connection is None:
            return
        if self.is_broken or self._is_unread():
            await self._connections.hang_up(self._connection)
        else:
            await self._connections.keep(self._connection)

    def answers(self) -> Iterable[tuple[int, Any]]:
        """Return the replies, each with the number of its command."""
        return zip(self.numbers, self._replies, strict=True)


class _AsyncNode:
    """The pool of an asynchronous node, which does not look itself whether a connection is open."""

    def __init__(self, node: Any) -> None:
        self._node = node

    async def get_connection(self) -> Any:
        connection = self._node.acquire_connection()
        try:
            await connection.connect()
            if not await is_ready(connection):
                await connection.disconnect()
                await connection.connect()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def release(self, connection: Any) -> None:
        self._node.release(connection)
