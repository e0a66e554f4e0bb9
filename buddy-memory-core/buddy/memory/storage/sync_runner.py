"""Drive a coroutine of a synchronous store to its end, without an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what ``coroutine`` returns; it must never have to wait.

    Synchronous stores do their I/O inside the call, so their coroutines end at the first step.
    That makes one implementation serve both worlds at the price of a generator per call.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise RuntimeError("a store that awaits an event loop was used through the synchronous API")


def iterate(items: AsyncIterator[T]) -> Iterator[T]:
    """Yield what an asynchronous generator of a synchronous store yields."""

    async def step() -> list[T]:
        async for item in items:
            return [item]
        return []

    while some := run(step()):
        yield from some
