"""What was last seen of a few rows, so that an update of one of them is a single request.

Only ever a guess: each write that rests on it carries the time of update as a precondition, and
when the server finds that it is another one, nothing is written and the row is read.
"""

from __future__ import annotations

from collections import OrderedDict

from buddy.memory.storage.record import Kind
from buddy_memory_firestore.documents import Seen

CAPACITY = 1024
"""Rows remembered, without payloads: about half a megabyte."""


class Recent:
    """The rows seen last, by kind and id. Safe in threads: each step on the dict is atomic."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._seen: OrderedDict[tuple[Kind, str], Seen] = OrderedDict()

    def put(self, kind: Kind, id: str, seen: Seen) -> None:
        """Remember a row; forget the one remembered first when there are too many."""
        self._seen.pop((kind, id), None)
        self._seen[kind, id] = seen
        while len(self._seen) > self._capacity:
            try:
                self._seen.popitem(last=False)
            except KeyError:  # Another thread emptied it.
                return

    def take(self, kind: Kind, id: str) -> Seen | None:
        """Return what is remembered, and forget it."""
        return self._seen.pop((kind, id), None)

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()
