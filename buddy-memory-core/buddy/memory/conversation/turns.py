"""Turns: one caller at a time, threads and tasks alike, in the order in which they came."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from threading import Event, Lock
from typing import Any

PATIENCE = 60.0
"""Seconds that a thread waits: a task of its own event loop may hold the turn, and cannot go on."""


class Turns:
    """Hands the turn from each caller to the next. A copy begins without any."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_taken = False
        self._waiting: deque[Callable[[], bool]] = deque()

    @contextmanager
    def blocking(self) -> Generator[None]:
        """Hold the turn of a thread."""
        came = Event()

        def wake() -> bool:
            came.set()
            return True

        has_turn = self._take(wake) or came.wait(PATIENCE) or not self._withdraw(wake)
        try:
            yield
        finally:
            if has_turn:
                self._pass_on()

    @asynccontextmanager
    async def awaiting(self) -> AsyncGenerator[None]:
        """Hold the turn of a task."""
        import asyncio  # Synchronous code has no use for it.

        loop = asyncio.get_running_loop()
        came = asyncio.Event()

        def wake() -> bool:
            try:
                loop.call_soon_threadsafe(came.set)
            except RuntimeError:  # Its loop has ended.
                return False
            return True

        if not self._take(wake):
            try:
                await came.wait()
            except asyncio.CancelledError:
                if not self._withdraw(wake):
                    self._pass_on()  # It had come already.
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, wake: Callable[[], bool]) -> bool:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            self._waiting.append(wake)
            return False

    def _withdraw(self, wake: Callable[[], bool]) -> bool:
        """Wait no longer; False where the turn has come."""
        with self._lock:
            if wake in self._waiting:
                self._waiting.remove(wake)
                return True
            return False

    def _pass_on(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_taken = False
                    return
                wake = self._waiting.popleft()
            if wake():
                return

    def __reduce__(self) -> tuple[Any, ...]:
        return Turns, ()
