"""The driver's clients: PyMongo's blocking one and its asyncio one, made, shared and closed.

Both have the same methods; one returns results and the other awaitables. A store passes its calls
as functions of the client, and ``settle`` returns their results for either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Hashable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, MongoClient, timeout

from buddy.memory.storage.client_cache import PerLoop, PerProcess, share
from buddy.memory.storage.single_flight import SingleFlight
from buddy_memory_mongo.url import Target

T = TypeVar("T")

Call = Callable[[Any], Any]
"""Takes a client or a collection; returns what the driver returned: a result, or an awaitable."""


class Driver(ABC):
    """One of PyMongo's two APIs, with the client to use it by.

    That is the caller's client, or else one for each process or event loop that all objects with
    the same URL share: the last of them to close closes it. Raises what the driver raises.
    """

    def __init__(self, target: Target, client: Any) -> None:
        self._callers = client
        self._call_seconds = target.call_seconds if client is None else None
        self.server: Any = target.url if client is None else client
        """What identifies the server: the URL, or the caller's client."""
        if client is None:
            key = type(self), target.url, *sorted(target.client_options.items())
            self._clients, self._give_back = share(key, partial(self._shared, target))

    @staticmethod
    @abstractmethod
    def _shared(target: Target) -> PerProcess[Any] | PerLoop[Any]:
        """Return the source of clients for ``target``."""

    def client(self) -> Any:
        """Return the client of this process or event loop."""
        return self._clients.get() if self._callers is None else self._callers

    def time_limit(self) -> AbstractContextManager[Any]:
        """Return the limit of a call, to be entered around it; none for a caller's client."""
        return nullcontext() if self._call_seconds is None else timeout(self._call_seconds)

    @abstractmethod
    async def settle(self, result: Any) -> Any:
        """Return the result of a call of this driver."""

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what ``work`` returns; tasks that ask for ``key`` meanwhile get the same."""
        return await work()

    async def close(self) -> None:
        """Give the shared client back."""
        if self._callers is None and self._give_back():
            closing = self._clients.close()
            if closing is not None:
                await closing


class SyncDriver(Driver):
    """MongoClient."""

    @staticmethod
    def _shared(target: Target) -> PerProcess[MongoClient[Any]]:
        make = partial(MongoClient[Any], target.url, **target.client_options)
        return PerProcess(make, lambda client: client.close())

    async def settle(self, result: Any) -> Any:
        return result


class AsyncDriver(Driver):
    """AsyncMongoClient."""

    def __init__(self, target: Target, client: Any) -> None:
        super().__init__(target, client)
        self._single_flight = SingleFlight()

    @staticmethod
    def _shared(target: Target) -> PerLoop[AsyncMongoClient[Any]]:
        make = partial(AsyncMongoClient[Any], target.url, **target.client_options)
        # PyMongo closes its sockets by callbacks of the loop. When the loop is gone, the garbage
        # collector closes them.
        return PerLoop(make, lambda client: client.close(), discard=lambda client: None)

    async def settle(self, result: Any) -> Any:
        return await result

    async def single_flight(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return await self._single_flight.run(key, work)
