"""How a store reaches the server: through PyMongo's blocking client, or its asyncio client.

Both clients have the same methods, one returns results and the other awaitables. A store hands
its work over as a function of the client, and a Connection brings it to its end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import ServerSelectionTimeoutError

from buddy.memory.storage.clients import PerLoop, PerProcess
from buddy.memory.storage.run import run
from buddy_memory_mongo.errors import translate
from buddy_memory_mongo.target import Target

Work = Callable[[Any], Any]
"""Takes the client and returns what the driver returned: a result, or an awaitable of one."""

Settle = Callable[[Any], Awaitable[Any]]
"""Awaits the result of a driver's call, whichever driver it was."""

Transaction = Callable[[Any, Any, Settle], Awaitable[Any]]
"""Takes the client, its session and a Settle. May be run more than once."""


class Connection(Protocol):
    """A client, and the way to run work on it. Raises what the driver raises."""

    async def run(self, work: Work) -> Any:
        """Return the result of ``work``."""

    async def transact(self, work: Transaction) -> Any:
        """Return the result of ``work``, done in one transaction."""

    async def close(self) -> None:
        """Give back the clients that were made here."""


async def _attempt(work: Transaction, client: Any, settle: Settle, session: Any) -> Any:
    try:
        return await work(client, session, settle)
    except ServerSelectionTimeoutError as error:
        # Said in our words, it ends the transaction: the driver's own it would retry for minutes.
        raise translate(error) or error from error


class SyncConnection:
    """A MongoClient: the caller's, or one of our own for each process."""

    def __init__(self, target: Target, client: MongoClient[Any] | None) -> None:
        def make() -> MongoClient[Any]:
            return MongoClient(target.url, **target.client_options)

        self._clients = PerProcess(make, lambda client: client.close())
        self._callers = client

    def _client(self) -> MongoClient[Any]:
        return self._clients.get() if self._callers is None else self._callers

    async def run(self, work: Work) -> Any:
        return work(self._client())

    async def transact(self, work: Transaction) -> Any:
        async def settle(result: Any) -> Any:
            return result

        client = self._client()
        body = partial(_attempt, work, client, settle)
        with client.start_session() as session:
            return session.with_transaction(lambda session: run(body(session)))

    async def close(self) -> None:
        self._clients.close()


class AsyncConnection:
    """An AsyncMongoClient: the caller's, or one of our own for each event loop."""

    def __init__(self, target: Target, client: AsyncMongoClient[Any] | None) -> None:
        def make() -> AsyncMongoClient[Any]:
            return AsyncMongoClient(target.url, **target.client_options)

        async def close(client: AsyncMongoClient[Any]) -> None:
            await client.close()

        # PyMongo closes its sockets by callbacks of the loop; without the loop it is left to the
        # collector, which closes them too.
        self._clients = PerLoop(make, close, discard=lambda client: None)
        self._callers = client

    def _client(self) -> AsyncMongoClient[Any]:
        return self._clients.get() if self._callers is None else self._callers

    async def run(self, work: Work) -> Any:
        return await work(self._client())

    async def transact(self, work: Transaction) -> Any:
        async def settle(result: Any) -> Any:
            return await result

        client = self._client()
        body = partial(_attempt, work, client, settle)
        async with client.start_session() as session:
            return await session.with_transaction(body)

    async def close(self) -> None:
        await self._clients.close()
