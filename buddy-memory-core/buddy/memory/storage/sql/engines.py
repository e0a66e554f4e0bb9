"""The engines of this process: one for each URL, shared, counted, and safe after a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

import sqlalchemy as sa

T = TypeVar("T")


class _Shared(NamedTuple):
    thing: Any
    holders: list[None]


_lock = Lock()
_shared: dict[Hashable, _Shared] = {}
_used: WeakSet[sa.Engine] = WeakSet()
_abandoned: list[Any] = []


def share(key: Hashable, make: Callable[[], T]) -> tuple[T, Callable[[], bool]]:
    """Return the one thing for ``key``, made if there is none, and the function that gives it back
    and tells whether that was the last holder.

    An agent framework opens a store per agent: an engine for each would be too many connections.
    """
    with _lock:
        if key not in _shared:
            _shared[key] = _Shared(make(), [])
        entry = _shared[key]
        entry.holders.append(None)

    def give_back() -> bool:
        with _lock:
            entry.holders.pop()
            if not entry.holders:
                _shared.pop(key, None)
            return not entry.holders

    return entry.thing, give_back


def acquire(key: Hashable, make: Callable[[], sa.Engine]) -> tuple[sa.Engine, Callable[[], None]]:
    """Return the engine for ``key`` (see ``share``), and the function that gives it back.

    The last one to give the engine back closes its connections.
    """
    engine, give_back = share(key, make)
    protect_from_fork(engine)

    def release() -> None:
        if give_back():
            engine.dispose()

    return engine, release


def protect_from_fork(engine: sa.Engine) -> None:
    """Give a forked child connections of its own."""
    _used.add(engine)


def _after_fork_in_child() -> None:
    global _lock
    _lock = Lock()  # Another thread of the parent may have held it.
    for engine in list(_used):
        # Neither closed nor collected: the connections still belong to the parent, and closing
        # the child's copy would end the parent's session or checkpoint its log.
        _abandoned.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
