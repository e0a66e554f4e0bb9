"""Forks: no connection to a file is open on both sides.

SQLite keeps the locks of a file by process, and its own notes of them in memory: a child that uses
or closes an inherited connection, or loses the locks of its parent by closing one, destroys the
file (https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_).
So a fork waits for statements under way, and idle connections are closed before it.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Condition
from typing import Any
from weakref import WeakSet

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool, QueuePool

from buddy.memory.errors import UnavailableError
from buddy_memory_sqlite.errors import NAME

SECONDS = 5.0
"""How long a fork waits for statements under way."""

_engines: WeakSet[sa.Engine] = WeakSet()
_abandoned: list[Any] = []
"""Pools whose connections belong to the parent: neither used, closed nor collected here."""

_condition = Condition()
_running = 0
_is_forking = False
_in_use: set[str] = set()
"""Files with a connection that was in use when this process was forked."""


def enter() -> None:
    """Begin a statement; wait while this process is being forked."""
    global _running
    with _condition:
        while _is_forking:
            _condition.wait()
        _running += 1


def leave() -> None:
    """End it."""
    global _running
    with _condition:
        _running -= 1
        if _is_forking:
            _condition.notify_all()


def protect(engine: sa.Engine) -> None:
    """Close the idle connections of an engine on a file before a fork, and refuse the file in the
    child where one was in use."""
    if engine not in _engines:
        _engines.add(engine)
        event.listen(engine, "do_connect", _refuse_in_child)


def _refuse_in_child(dialect: Any, record: Any, arguments: Any, options: Any) -> None:
    if _in_use and _name(str(arguments[0])) in _in_use:
        raise UnavailableError(
            NAME,
            f"a connection to {arguments[0]} was in use when this process was forked, and SQLite "
            "allows no second use of it here. Fork between calls, or start a new program.",
        )


def _name(database: str) -> str:
    path = database.removeprefix("file:").partition("?")[0]
    return str(Path(path).resolve())


def _before() -> None:
    global _is_forking
    with _condition:
        _is_forking = True
        _condition.wait_for(lambda: _running == 0, SECONDS)
        for engine in list(_engines):
            if not _has_users(engine):
                engine.dispose()


def _has_users(engine: sa.Engine) -> bool:
    """Tell whether a connection is in use; of a pool that cannot tell, one that it holds may be."""
    pool = engine.pool
    if isinstance(pool, QueuePool):
        return pool.checkedout() > 0
    return not isinstance(pool, NullPool)


def _after_in_parent() -> None:
    global _is_forking
    with _condition:
        _is_forking = False
        _condition.notify_all()


def _after_in_child() -> None:
    global _condition, _running, _is_forking
    _condition, _running, _is_forking = Condition(), 0, False
    for engine in list(_engines):
        if _has_users(engine):
            _in_use.add(_name(engine.url.database or ""))
            _abandoned.append(engine.pool)
            engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
