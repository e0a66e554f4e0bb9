"""The order of first writing, as ObjectIds (rule R3).

A row's ``_id`` is its position. The first seven bytes count sixteenths of a microsecond, so that
the first four are seconds, as in any ObjectId; the last five are random for each process, so that
no two processes make the same one.
"""

from __future__ import annotations

import os
from datetime import datetime
from threading import Lock
from typing import Any

from bson import ObjectId

from buddy_memory_mongo.encoding import to_us

_MAX_TICK = 2**56 - 2**40
_COUNTER_BYTES = 7


class Positions:
    """Hands out positions that only grow within this process, whatever the clock does."""

    def __init__(self) -> None:
        self._last = 0
        self._begin()

    def _begin(self) -> None:
        """Draw what is this process's own: a forked child must not repeat the positions of its
        parent, and another thread of the parent may have held the lock."""
        self._lock, self._tail = Lock(), os.urandom(5)
        self._pid = os.getpid()

    def follow(self, stored: Any) -> None:
        """Make all positions from now on greater than a stored one."""
        if isinstance(stored, ObjectId):
            tick = int.from_bytes(stored.binary[:_COUNTER_BYTES], "big")
            if tick > self._last:  # Rarely: most rows are older than the last position given.
                self._count_up(0, min(tick, _MAX_TICK) + 1)

    def take(self, count: int, now: datetime) -> list[ObjectId]:
        """Return ``count`` positions from ``now`` on."""
        first = self._count_up(count, _tick(now))
        return [_object_id(first + n, self._tail) for n in range(count)]

    def _count_up(self, count: int, least: int) -> int:
        """Reserve ``count`` ticks; return the first of them."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            first = max(self._last + 1, least)
            self._last = first + count - 1
        return first


def _tick(now: datetime) -> int:
    # The seconds of an ObjectId end in 2106; from then on positions are counted without a clock.
    seconds, microseconds = divmod(int(to_us(now)), 1_000_000)
    return min(seconds << 24 | microseconds << 4, _MAX_TICK)


def _object_id(tick: int, tail: bytes) -> ObjectId:
    return ObjectId(tick.to_bytes(_COUNTER_BYTES, "big") + tail)
