"""Writers of one process take turns.

SQLite admits one writer at a time. The others poll for the lock and sleep longer each time, up to
a tenth of a second: with 64 threads some wait half a second for a write of a millisecond. Within
one process a lock hands the turn over at once.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from buddy.memory.storage.sql import SyncConnector
from buddy.memory.storage.sql.connector import Work
from buddy_memory_sqlite import fork_guard

T = TypeVar("T")
W = TypeVar("W")

SECONDS = 30.0
"""How long to wait for a turn before SQLite's own lock decides: another process may keep the writer
in front waiting."""

_turns: WeakKeyDictionary[sa.Engine, Lock] = WeakKeyDictionary()


def _after_fork_in_child() -> None:
    _turns.clear()  # A thread of the parent may hold one.


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class TurnTakingConnector(SyncConnector):
    """A SyncConnector whose writers wait for each other before they take a connection."""

    def _on_cursor(self, work: Work[T], begin: str | None) -> T:
        fork_guard.enter()
        try:
            return super()._on_cursor(work, begin)
        finally:
            fork_guard.leave()

    async def inspect(self, work: Callable[[sa.Connection], T]) -> T:
        fork_guard.enter()
        try:
            return await super().inspect(work)
        finally:
            fork_guard.leave()

    async def run(self, work: Work[T]) -> T:
        return await self._in_turn(super().run, work)

    async def transaction(self, work: Work[T]) -> T:
        return await self._in_turn(super().transaction, work)

    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._in_turn(self._define, work)

    async def _define(self, work: Callable[[sa.Connection], T]) -> T:
        fork_guard.enter()
        try:
            return await super().define(work)
        finally:
            fork_guard.leave()

    async def _in_turn(self, runner: Callable[[W], Awaitable[T]], work: W) -> T:
        turn = _turns.get(self.engine) or _turns.setdefault(self.engine, Lock())
        is_mine = turn.acquire(timeout=SECONDS)
        try:
            return await runner(work)
        finally:
            if is_mine:
                turn.release()
