"""Concurrent calls of one event loop, sent in batches.

Per-call overhead dominates small requests, so calls made while one is in flight are sent as a
batch: under load a loop does better than threads, and a single call is as fast as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

Q = TypeVar("Q")
A = TypeVar("A")

RunBatch = Callable[[list[Q]], Awaitable[Sequence["A | Exception"]]]
"""Runs a batch; returns one result or exception per call. If it raises, every call fails."""


class Batcher(Generic[Q, A]):
    """Batches of at most ``max_batch`` calls, of which ``max_in_flight`` are under way at once.

    One object serves any number of event loops, one after the other or in several threads.
    """

    def __init__(self, run_batch: RunBatch[Q, A], max_batch: int, max_in_flight: int = 1) -> None:
        self._run_batch, self._max_batch = run_batch, max_batch
        self._max_in_flight = max_in_flight
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Calls[Q, A]] = (
            WeakKeyDictionary()
        )

    async def submit(self, call: Q) -> A:
        """Return the result, or raise the exception, that ``run_batch`` has for this call."""
        loop = asyncio.get_running_loop()
        calls = self._loops.get(loop)
        if calls is None:
            calls = self._loops[loop] = _Calls()
        if not calls.is_busy:
            calls.is_busy = True
            try:
                (result,) = await self._run_batch([call])
            finally:
                calls.is_busy = False
            if isinstance(result, Exception):
                raise result
            return result
        future: asyncio.Future[A] = loop.create_future()
        calls.waiting.append((call, future))
        if len(calls.senders) < self._max_in_flight:
            # A task of its own: a caller who is cancelled takes no other call along.
            sender = loop.create_task(self._send(calls))
            calls.senders.add(sender)
            sender.add_done_callback(calls.ended)
        return await future

    async def _send(self, calls: _Calls[Q, A]) -> None:
        try:
            while calls.waiting:
                batch = calls.waiting[: self._max_batch]
                calls.waiting = calls.waiting[self._max_batch :]
                batch = [call for call in batch if not call[1].cancelled()]
                if batch:
                    await self._send_batch(batch)
        finally:
            # At once, and not when the callback runs: a call made in between needs another sender.
            calls.senders.discard(asyncio.current_task())

    async def _send_batch(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        results: Sequence[A | Exception]
        try:
            results = await self._run_batch([call for call, _ in batch])
        except asyncio.CancelledError:  # The loop ends.
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            results = [_copy_error(error) for _ in batch]
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # Its caller was cancelled.
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


class _Calls(Generic[Q, A]):
    """The calls of one event loop."""

    def __init__(self) -> None:
        self.is_busy = False
        self.waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self.senders: set[asyncio.Task[Any] | None] = set()

    def ended(self, sender: asyncio.Task[None]) -> None:
        """Leave no call waiting for a sender that was cancelled, maybe before it began."""
        self.senders.discard(sender)
        if not self.senders:
            for _, future in self.waiting:
                future.cancel()
            self.waiting.clear()


def _copy_error(error: Exception) -> Exception:
    """Return a copy of an error: each task that raises one adds its own traceback."""
    copied = copy(error)
    copied.__cause__ = error.__cause__
    return copied


async def result_of(call: Awaitable[A]) -> A | Exception:
    """Return what a call returns, or the exception that it raises: its entry in a batch's list."""
    try:
        return await call
    except Exception as error:
        return error
