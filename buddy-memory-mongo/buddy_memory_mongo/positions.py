"""The order of first writing, as ObjectIds (rule R3).

A row's ``_id`` is its position. The first seven bytes count sixteenths of a microsecond, so that
the first four are seconds, as in any ObjectId; the last five are random for each process, so that
no two processes make the same one.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from threading import Lock

from bson import ObjectId

from buddy_memory_mongo.documents import to_us

_MAX_TICK = 2**56 - 2**40
_COUNTER_BYTES = 7


class Counter:
    """Positions that only grow within this process, whatever the clock does."""

    def __init__(self) -> None:
        self._last = 0
        self._begin()

    def _begin(self) -> None:
        self._lock, self._tail = Lock(), os.urandom(5)
        self._pid = os.getpid()

    def _here(self) -> Lock:
        if self._pid != os.getpid():  # A forked child must not make the ids of its parent.
            self._begin()
        return self._lock

    def saw(self, stored: ObjectId | None) -> None:
        """Go on from a stored position at least."""
        with self._here():
            self._last = max(self._last, _tick_of(stored))

    def take(self, count: int, now: datetime) -> list[ObjectId]:
        """Return ``count`` positions from ``now`` on."""
        with self._here():
            first = max(self._last + 1, _tick(now))
            self._last = first + count - 1
        return [_object_id(first + n, self._tail) for n in range(count)]


class Positions:
    """Hands out positions of a counter, after what was stored before this object first wrote."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._seen_stored = False

    async def take(
        self, count: int, now: datetime, read_last: Callable[[], Awaitable[ObjectId | None]]
    ) -> list[ObjectId]:
        """Return ``count`` positions from ``now`` on; ``read_last`` tells the greatest stored."""
        if not self._seen_stored:
            self._counter.saw(await read_last())
            self._seen_stored = True
        return self._counter.take(count, now)


def _tick(now: datetime) -> int:
    # The seconds of an ObjectId end in 2106; from then on positions are counted without a clock.
    seconds, microseconds = divmod(int(to_us(now)), 1_000_000)
    return min(seconds << 24 | microseconds << 4, _MAX_TICK)


def _tick_of(position: ObjectId | None) -> int:
    return 0 if position is None else int.from_bytes(position.binary[:_COUNTER_BYTES], "big")


def _object_id(tick: int, tail: bytes) -> ObjectId:
    return ObjectId(tick.to_bytes(_COUNTER_BYTES, "big") + tail)
