"""Changes of one row by many clients: repeated, with a wait that grows, until one is the first."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

from buddy.memory.errors import ConflictError

T = TypeVar("T")

Pause = Callable[[float], Awaitable[None]]
"""Waits for so many seconds."""

SECONDS = 30.0
"""How long a change is tried while other clients write the same row first."""

_FIRST, _LONGEST = 0.002, 0.5  # seconds of waiting between two attempts


async def pause_blocking(seconds: float) -> None:
    """Wait in synchronous code."""
    time.sleep(seconds)  # noqa: ASYNC251  (no event loop drives it)


async def pause_awaiting(seconds: float) -> None:
    """Wait in asynchronous code; the event loop goes on."""
    import asyncio

    await asyncio.sleep(seconds)


async def repeated(step: Callable[[], Awaitable[T]], pause: Pause) -> T:
    """Return what ``step`` returns; it is repeated while it raises ConflictError.

    The wait is drawn at random from a range that doubles, so that many clients do not meet again
    each time. The last ConflictError is raised after ``SECONDS``.
    """
    until, longest = time.monotonic() + SECONDS, _FIRST
    while True:
        try:
            return await step()
        except ConflictError:
            if time.monotonic() > until:
                raise
        await pause(uniform(0, longest))  # noqa: S311  (no secret)
        longest = min(2 * longest, _LONGEST)
