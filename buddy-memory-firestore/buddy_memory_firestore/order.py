"""The order of writing: numbers that only grow, close to the time in microseconds.

A clock alone ties and steps back. Each process counts on from the greatest number that it has
given or seen, so that a row written after another was written or read here sorts after it.
"""

from __future__ import annotations

import os
from threading import Lock

from buddy.memory.storage import clock


class Order:
    """The counter of one collection in this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def saw(self, number: object) -> None:
        """Count on from a stored number at least."""
        if type(number) is int and number > self._last:
            with self._lock:
                self._last = max(self._last, number)

    def take(self) -> int:
        """Return the next number."""
        now = int(clock.utc_now().timestamp() * 1_000_000)
        with self._lock:
            self._last = max(self._last + 1, now)
            return self._last

    def renew_lock(self) -> None:
        """Replace the lock; another thread of the parent process may have held it."""
        self._lock = Lock()


_lock = Lock()
_orders: dict[tuple[str, str], Order] = {}


def order_of(target: str, collection: str) -> Order:
    """Return the counter of a collection, the same for every store on it in this process."""
    with _lock:
        return _orders.setdefault((target, collection), Order())


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()
    for order in _orders.values():
        order.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
