"""Drivers' clients that must not outlive what they are bound to: a process, or an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any, Generic, TypeVar

C = TypeVar("C")

_abandoned: list[Any] = []
"""Clients that belong to the parent of this process: neither used, closed nor collected here."""


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

    def _forget_parent(self) -> None:
        _abandoned.append(self._client)
        self._client, self._pid = None, 0
        self._lock = Lock()  # Another thread of the parent may have held it.

    def close(self) -> None:
        """Close the client of this process, if there is one."""
        client, self._client = self._client, None
        if client is not None and self._pid == os.getpid():
            self._close(client)


class PerLoop(Generic[C]):
    """An asynchronous client for each running event loop, made at first use (R12).

    ``close`` is awaited on the loop of the client. ``discard`` is called for clients whose loop
    ended before: it gives back what can be given back without a loop.
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
        self._clients: dict[asyncio.AbstractEventLoop, tuple[int, C]] = {}

    def get(self) -> C:
        """Return the client of the running loop. Raises RuntimeError when none runs."""
        loop = asyncio.get_running_loop()
        found = self._clients.get(loop)
        if found is not None and found[0] == os.getpid():
            return found[1]
        with self._lock:
            self._discard_ended()
            client = self._make()
            self._clients[loop] = os.getpid(), client
        return client

    def _discard_ended(self) -> None:
        for loop in [loop for loop in self._clients if loop.is_closed()]:
            pid, client = self._clients.pop(loop)
            if pid == os.getpid():
                self._discard(client)
            else:
                _abandoned.append(client)

    async def close(self) -> None:
        """Close the client of the running loop, and discard those of other loops."""
        running = asyncio.get_running_loop()
        with self._lock:
            clients, self._clients = self._clients, {}
        for loop, (pid, client) in clients.items():
            if pid != os.getpid():
                _abandoned.append(client)
            elif loop is running:
                await self._close(client)
            else:
                self._discard(client)
