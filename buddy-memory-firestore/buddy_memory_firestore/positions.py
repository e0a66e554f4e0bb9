"""Positions: the order of first writing, close to the time and growing within a process.

A clock alone ties and steps back. Each process counts on from the greatest number that it has
given or seen, so that a row written after another was written or read here sorts after it.
Rows that several processes write at once sort by their clocks.
"""

from __future__ import annotations

import os
import re
from random import getrandbits
from threading import Lock

from buddy.memory.storage import clock

_DIGITS = 20
_POSITION = re.compile(rf"[0-9]{{{_DIGITS}}}[0-9a-f]{{10}}")


class Positions:
    """The counter of one collection in this process.

    A position is the number in twenty digits and ten random ones, which tell two rows apart to
    which two processes gave the same number.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def saw(self, position: str) -> None:
        """Count on from a stored position at least; one that is not ours is ignored."""
        if _POSITION.fullmatch(position) and (number := int(position[:_DIGITS])) > self._last:
            with self._lock:
                self._last = max(self._last, number)

    def take(self) -> str:
        """Return the next position."""
        now = int(clock.utc_now().timestamp() * 1_000_000)
        with self._lock:
            self._last = max(self._last + 1, now)
            number = self._last
        return f"{number:0{_DIGITS}d}{getrandbits(40):010x}"

    def renew_lock(self) -> None:
        """Replace the lock; another thread of the parent process may have held it."""
        self._lock = Lock()


_lock = Lock()
_counters: dict[tuple[str, str], Positions] = {}


def positions_of(target: str, collection: str) -> Positions:
    """Return the counter of a collection, the same for every store on it in this process."""
    with _lock:
        return _counters.setdefault((target, collection), Positions())


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()
    for counter in _counters.values():
        counter.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
