"""The indexes of many users, as many as fit."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from buddy.memory.search.user_index import UserIndex

MAX_BYTES = 64 * 1024 * 1024
"""About how much the indexes of one database object take together."""


class IndexCache:
    """Keeps the indexes used last. Safe in threads; a forked child begins with an empty one."""

    def __init__(self, make: Callable[[], UserIndex], max_bytes: int = MAX_BYTES) -> None:
        self._make, self._max_bytes = make, max_bytes
        self._start()

    def _start(self) -> None:
        self._process, self._lock = os.getpid(), Lock()
        self._indexes: OrderedDict[str | None, tuple[UserIndex, int]] = OrderedDict()
        self._bytes = 0

    def get(self, user_id: str | None) -> UserIndex | None:
        """Return the index of a user if it is here."""
        if self._process != os.getpid():
            self._start()  # A lock may have been held by a thread that the child does not have.
        with self._lock:
            found = self._indexes.get(user_id)
            if found is None:
                return None
            self._indexes.move_to_end(user_id)
            return found[0]

    def get_or_make(self, user_id: str | None) -> UserIndex:
        """Return the index of a user, an empty one where there is none."""
        found = self.get(user_id)
        return self._make() if found is None else found  # An empty one counts as false.

    def keep(self, user_id: str | None, index: UserIndex) -> None:
        """Keep an index that was filled or changed much, and drop those unused for longest.

        One that is larger than the whole cache is not kept.
        """
        size = index.size
        with self._lock:
            self._bytes += size - self._indexes.pop(user_id, (index, 0))[1]
            self._indexes[user_id] = (index, size)
            while self._bytes > self._max_bytes:
                _, (_, freed) = self._indexes.popitem(last=False)
                self._bytes -= freed
