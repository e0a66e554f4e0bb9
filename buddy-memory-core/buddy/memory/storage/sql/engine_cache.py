"""Engines of this process: one for each URL, shared, reference-counted and safe after a fork."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa

from buddy.memory.storage.client_cache import share

_used: WeakSet[sa.Engine] = WeakSet()
_abandoned: list[Any] = []


def acquire(key: Hashable, make: Callable[[], sa.Engine]) -> tuple[sa.Engine, Callable[[], None]]:
    """Return the engine for ``key`` (see ``share``), and the function that releases it.

    The last release closes the connections of the engine.
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
    for engine in list(_used):
        # Neither closed nor collected: the connections still belong to the parent, and closing
        # the child's copy would end the parent's session or checkpoint its log.
        _abandoned.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
