"""How a store reaches the server: through PyMongo's blocking client, or its asyncio client.

Both clients have the same methods, one returns results and the other awaitables. A store hands
its work over as a function of the client, and a Connection brings it to its end.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from functools import partial
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, MongoClient
from pymongo.errors import ServerSelectionTimeoutError

from buddy.memory.storage.clients import PerLoop, PerProcess, share
from buddy.memory.storage.run import run
from buddy_memory_mongo.errors import translate
from buddy_memory_mongo.target import Target

T = TypeVar("T")

Work = Callable[[Any], Any]
"""Takes a client or a collection; returns what the driver returned: a result, or an awaitable."""

Settle = Callable[[Any], Awaitable[Any]]
"""Awaits the result of a driver's call, whichever driver it was."""

Transaction = Callable[[Any, Any, Settle], Awaitable[Any]]
"""Takes the client, its session and a Settle. May be run more than once."""


class Connection(ABC):
    """The caller's client, or else one for each process or event loop that all objects with the
    same URL share: the last of them to close closes it. Raises what the driver raises."""

    def __init__(self, target: Target, client: Any) -> None:
        self._callers = client
        self.place: Any = target.url if client is None else client
        """What tells one server from another: the URL, or the caller's client."""
        if client is None:
            key = type(self), target.url
            self._clients, self._give_back = share(key, partial(self._shared, target))

    @staticmethod
    @abstractmethod
    def _shared(target: Target) -> PerProcess[Any] | PerLoop[Any]:
        """Return where clients for ``target`` come from."""

    def client(self) -> Any:
        """Return the client to use here and now."""
        return self._clients.get() if self._callers is None else self._callers

    @abstractmethod
    async def settle(self, result: Any) -> Any:
        """Return the result of a call of this driver."""

    @abstractmethod
    async def transact(self, work: Transaction) -> Any:
        """Return the result of ``work``, done in one transaction."""

    async def together(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``work`` returns. Tasks that ask for ``key`` meanwhile are told the same."""
        return await work()

    async def close(self) -> None:
        """Give the shared client back."""
        if self._callers is None and self._give_back():
            closing = self._clients.close()
            if closing is not None:
                await closing


async def _attempt(work: Transaction, client: Any, settle: Settle, session: Any) -> Any:
    try:
        return await work(client, session, settle)
    except ServerSelectionTimeoutError as error:
        # Said in our words, it ends the transaction: the driver's own it would retry for minutes.
        raise translate(error) or error from error


class SyncConnection(Connection):
    """By MongoClient."""

    @staticmethod
    def _shared(target: Target) -> PerProcess[MongoClient[Any]]:
        make = partial(MongoClient[Any], target.url, **target.client_options)
        return PerProcess(make, lambda client: client.close())

    async def settle(self, result: Any) -> Any:
        return result

    async def transact(self, work: Transaction) -> Any:
        client = self.client()
        body = partial(_attempt, work, client, self.settle)
        with client.start_session() as session:
            return session.with_transaction(lambda session: run(body(session)))


class AsyncConnection(Connection):
    """By AsyncMongoClient."""

    def __init__(self, target: Target, client: Any) -> None:
        super().__init__(target, client)
        self._under_way: dict[Hashable, asyncio.Future[Any]] = {}

    @staticmethod
    def _shared(target: Target) -> PerLoop[AsyncMongoClient[Any]]:
        make = partial(AsyncMongoClient[Any], target.url, **target.client_options)
        # PyMongo closes its sockets by callbacks of the loop; without the loop it is left to the
        # collector, which closes them too.
        return PerLoop(make, lambda client: client.close(), discard=lambda client: None)

    async def settle(self, result: Any) -> Any:
        return await result

    async def together(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        here = asyncio.get_running_loop(), key
        if here not in self._under_way:
            self._under_way[here] = asyncio.ensure_future(work())
            self._under_way[here].add_done_callback(lambda done: self._under_way.pop(here))
        # A task that is cancelled does not take the answer from the others.
        answer: T = await asyncio.shield(self._under_way[here])
        return answer

    async def transact(self, work: Transaction) -> Any:
        client = self.client()
        body = partial(_attempt, work, client, self.settle)
        async with client.start_session() as session:
            return await session.with_transaction(body)
