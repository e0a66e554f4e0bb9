"""What was last seen of a few rows, so that an update of one of them is a single request.

Only ever a guess: each write that rests on it carries the time of update as a precondition, and
when the server finds that it is another one, nothing is written and the row is read.
"""

from __future__ import annotations

from collections import OrderedDict

from buddy.memory.storage.record import Key, Kind
from buddy_memory_firestore.encoding import Seen

CAPACITY = 1024
"""Rows remembered, without payloads: about half a megabyte."""


class Recent:
    """The rows seen last, by kind and key. Safe in threads: each step on the dict is atomic."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[tuple[Kind, Key], Seen] = OrderedDict()

    def put(self, kind: Kind, key: Key, seen: Seen) -> None:
        """Remember a row; forget the one remembered first when there are too many."""
        self._seen.pop((kind, key), None)
        self._seen[kind, key] = seen
        while len(self._seen) > self._capacity:
            try:
                self._seen.popitem(last=False)
            except KeyError:  # Another thread emptied it.
                return

    def take(self, kind: Kind, key: Key) -> Seen | None:
        """Return what is remembered, and forget it."""
        return self._seen.pop((kind, key), None)

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()
