"""Drivers' clients: shared by the objects that want the same one, and never outliving what they
are bound to: a process, or an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import suppress
from threading import Lock
from typing import Any, Generic, TypeVar

C = TypeVar("C")

_abandoned: list[Any] = []
"""Clients that belong to the parent of this process, or were interrupted: neither used, closed nor
collected here."""


class _Shared:
    def __init__(self, thing: Any) -> None:
        self.thing, self.holders = thing, 0


_lock = Lock()
_shared: dict[Hashable, _Shared] = {}


def share(key: Hashable, make: Callable[[], C]) -> tuple[C, Callable[[], bool]]:
    """Return the one thing for ``key``, made if there is none, and the function that gives it back
    and tells whether that was the last holder.

    An agent framework opens a store per agent: a client for each would be too many connections.
    """
    with _lock:
        if key not in _shared:
            _shared[key] = _Shared(make())
        entry = _shared[key]
        entry.holders += 1

    def give_back() -> bool:
        with _lock:
            entry.holders -= 1
            if not entry.holders:
                _shared.pop(key, None)
            return not entry.holders

    return entry.thing, give_back


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()  # Another thread of the parent may have held it.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class PerProcess(Generic[C]):
    """A synchronous client, made at first use and made anew in a forked child (R10)."""

    def __init__(self, make: Callable[[], C], close: Callable[[C], None]) -> None:
        self._make, self._close = make, close
        self._lock = Lock()
        self._client: C | None = None
        self._pid = 0

    def get(self) -> C:
        """Return the client of this process."""
        client = self._client
        if client is not None and self._pid == os.getpid():
            return client
        if self._pid not in (0, os.getpid()):
            self._forget_parent()
        with self._lock:
            if self._client is None:
                self._client, self._pid = self._make(), os.getpid()
            return self._client

    def abandon(self) -> None:
        """Use another client from now on. This one is not even closed: that might never end."""
        _abandoned.append(self._client)
        self._client, self._pid = None, 0

    def _forget_parent(self) -> None:
        self.abandon()
        self._lock = Lock()  # Another thread of the parent may have held it.

    def close(self) -> None:
        """Close the client of this process, if there is one."""
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            self._close(client)


class PerLoop(Generic[C]):
    """An asynchronous client for each running event loop, made at first use (R12).

    ``close`` is awaited on the loop of the client: by ``close`` here, or when ``asyncio.run`` ends
    that loop. ``discard`` is called for clients whose loop ended otherwise: it gives back what can
    be given back without a loop.
    """

    def __init__(
        self,
        make: Callable[[], C],
        close: Callable[[C], Awaitable[object]],
        discard: Callable[[C], None],
    ) -> None:
        self._make, self._close, self._discard = make, close, discard
        self._lock = Lock()
        # Holds the loops too: a loop must not be collected before its client was given back.
        self._clients: dict[asyncio.AbstractEventLoop, _Bound[C]] = {}

    def get(self) -> C:
        """Return the client of the running loop. Raises RuntimeError when none runs."""
        loop = asyncio.get_running_loop()
        found = self._clients.get(loop)
        if found is not None and found.pid == os.getpid():
            return found.client
        with self._lock:
            self._discard_ended()
            if found is not None:
                _abandoned.append(found)
            client = self._make()
            self._clients[loop] = _Bound(os.getpid(), client, self._close)
        return client

    def _discard_ended(self) -> None:
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            self._give_back(self._clients.pop(loop))

    def _give_back(self, bound: _Bound[C]) -> None:
        """Give back a client without its loop."""
        if bound.pid != os.getpid():
            _abandoned.append(bound)
        elif not bound.is_closed:
            self._discard(bound.client)

    async def close(self) -> None:
        """Close the client of the running loop, and discard those of other loops."""
        running = asyncio.get_running_loop()
        with self._lock:
            clients, self._clients = self._clients, {}
        for loop, bound in clients.items():
            if loop is running and bound.pid == os.getpid():
                await bound.close()
            else:
                self._give_back(bound)


class _Bound(Generic[C]):
    """A client of the running loop, closed at the latest when that loop shuts down."""

    def __init__(self, pid: int, client: C, close: Callable[[C], Awaitable[object]]) -> None:
        self.pid, self.client = pid, client
        self.is_closed = False
        # A loop awaits the end of every generator that was begun on it (shutdown_asyncgens).
        self._life = self._live(close)
        with suppress(StopIteration):  # It has begun, and waits at its yield.
            self._life.__anext__().send(None)

    async def _live(self, close: Callable[[C], Awaitable[object]]) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.is_closed = True
            await close(self.client)

    async def close(self) -> None:
        await self._life.aclose()
