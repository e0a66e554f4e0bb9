"""What the stores of one process know together of a pair of collections.

Otherwise one would go on after another dropped the collections, and make them again without the
indexes that keep ids unique; and rows would be in the order of the clock where several write.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from buddy.memory.storage.record import Kind
from buddy_memory_mongo.positions import Positions


class Known:
    """The positions that were given, and when the indexes of each kind were last seen."""

    def __init__(self, of: Any = None) -> None:
        """``of`` is kept as long as what is known of it: its identity may be a part of the key."""
        self._of = of
        self.positions = {kind: Positions() for kind in Kind}
        self.seen_complete: dict[Kind, float] = {}


_lock = Lock()
_known: WeakValueDictionary[Hashable, Known] = WeakValueDictionary()


def known_of(server: Any, *key: Hashable) -> Known:
    """Return what is known where ``server``, a client or a URL, and ``key`` are the same."""
    with _lock:
        full = server if isinstance(server, str) else id(server), *key
        return _known.setdefault(full, Known(server))


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()  # Another thread of the parent may have held it.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
