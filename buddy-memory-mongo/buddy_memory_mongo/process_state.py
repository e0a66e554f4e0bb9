"""State that the stores of one process share when they are on the same collections.

Without it, a store would not notice that another one of the process dropped the collections, and
would make them again without their indexes; and the order of rows that several of them write would
be that of the clock.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from buddy.memory.storage.record import Kind
from buddy_memory_mongo.positions import Positions


class ProcessState:
    """The positions that were given, and when the indexes of each kind were last seen."""

    def __init__(self, server: Any = None) -> None:
        self._server = server  # Kept alive: its identity may be a part of the key.
        self.positions = {kind: Positions() for kind in Kind}
        self.seen_complete: dict[Kind, float] = {}
        self.inserted: set[Kind] = set()
        """Where rows were inserted since the indexes were seen: that may make a collection."""


_lock = Lock()
_states: WeakValueDictionary[Hashable, ProcessState] = WeakValueDictionary()


def process_state(server: Any, *key: Hashable) -> ProcessState:
    """Return the state that is shared for this ``server`` (a client or a URL) and ``key``."""
    with _lock:
        full = server if isinstance(server, str) else id(server), *key
        return _states.setdefault(full, ProcessState(server))


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()  # Another thread of the parent may have held it.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
