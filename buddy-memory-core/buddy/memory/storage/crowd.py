"""What many tasks of one event loop want at once, done together.

A call of an asynchronous driver costs far more of the loop's time than what it carries, and threads
have their drivers wait in C. So one call at a time is done as if it were alone, and what other
tasks want meanwhile travels in batches: under load a loop does better than threads, and a single
call is as fast as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

Q = TypeVar("Q")
A = TypeVar("A")

Together = Callable[[list[Q]], Awaitable[Sequence["A | Exception"]]]
"""Does calls together: an answer for each, or the exception that this one raises. What it raises
itself, all of them raise."""


class Crowd(Generic[Q, A]):
    """Batches of at most ``most`` calls, of which ``couriers`` are under way at once.

    One object serves any number of event loops, one after the other or in several threads.
    """

    def __init__(self, together: Together[Q, A], most: int, couriers: int = 1) -> None:
        self._together, self._most, self._couriers = together, most, couriers
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Calls[Q, A]] = (
            WeakKeyDictionary()
        )

    async def ask(self, question: Q) -> A:
        """Return the answer, or raise the exception, that ``together`` has for this call."""
        loop = asyncio.get_running_loop()
        calls = self._loops.get(loop)
        if calls is None:
            calls = self._loops[loop] = _Calls()
        if not calls.is_busy:
            calls.is_busy = True
            try:
                (answer,) = await self._together([question])
            finally:
                calls.is_busy = False
            if isinstance(answer, Exception):
                raise answer
            return answer
        future: asyncio.Future[A] = loop.create_future()
        calls.waiting.append((question, future))
        if len(calls.couriers) < self._couriers:
            # A task of its own: a caller who is cancelled takes nobody's answer along.
            courier = loop.create_task(self._carry(calls))
            calls.couriers.add(courier)
            courier.add_done_callback(calls.ended)
        return await future

    async def _carry(self, calls: _Calls[Q, A]) -> None:
        try:
            while calls.waiting:
                batch, calls.waiting = calls.waiting[: self._most], calls.waiting[self._most :]
                batch = [call for call in batch if not call[1].cancelled()]
                if batch:
                    await self._deliver(batch)
        finally:
            # At once, and not when the callback runs: who asks in between needs another one.
            calls.couriers.discard(asyncio.current_task())

    async def _deliver(self, batch: list[tuple[Q, asyncio.Future[A]]]) -> None:
        answers: Sequence[A | Exception]
        try:
            answers = await self._together([question for question, _ in batch])
        except asyncio.CancelledError:  # The loop ends.
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            answers = [_another(error) for _ in batch]
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # Nobody waits for it any more.
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


class _Calls(Generic[Q, A]):
    """The calls of one event loop."""

    def __init__(self) -> None:
        self.is_busy = False
        self.waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self.couriers: set[asyncio.Task[Any] | None] = set()

    def ended(self, courier: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a courier that was cancelled, maybe before it began."""
        self.couriers.discard(courier)
        if not self.couriers:
            for _, future in self.waiting:
                future.cancel()
            self.waiting.clear()


def _another(error: Exception) -> Exception:
    """Return the like of an error: each task that raises one adds its own traceback."""
    like = copy(error)
    like.__cause__ = error.__cause__
    return like


async def answer_of(call: Awaitable[A]) -> A | Exception:
    """Return what a call returns, or the exception that it raises: its answer among others'."""
    try:
        return await call
    except Exception as error:
        return error
