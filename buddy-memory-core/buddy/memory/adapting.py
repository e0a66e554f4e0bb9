"""What an adapter needs to put another framework on a database: scopes, and either side of it.

A framework names what it stores by a path: a namespace, a project and a session. ``join_scope``
makes one user of such a path, so that ``user_prefix`` selects everything below a part of it, and
by whole segments: ``("a",)`` is no prefix of ``("ab",)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.registry import open_async_memory_db, open_memory_db
from buddy.memory.storage.eight_methods import Awaiting
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.base import AsyncMemoryDb, MemoryDb

__all__ = ["as_async", "as_awaitable", "as_sync", "join_scope", "run", "split_scope"]

_ESCAPES = (("%", "%25"), ("/", "%2F"))


def join_scope(*segments: str) -> str:
    """Return the user that stands for a path, and the prefix of all paths below it.

    Each segment ends with a slash: ``join_scope("a", "b")`` is ``"a/b/"``. A slash or a percent
    sign in a segment is written as ``%2F``, ``%25``; everything else, an empty segment too, stays
    as it is. No segments: ``""``, the prefix of everything. Raises InvalidMemoryError for a segment
    that is no text.
    """
    for segment in segments:
        if not isinstance(segment, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidMemoryError(f"a scope is made of texts, not {type(segment).__name__}")
    return "".join(f"{_escaped(segment)}/" for segment in segments)


def split_scope(user_id: str) -> tuple[str, ...]:
    """Return the segments that ``join_scope`` was given.

    Raises InvalidMemoryError for a user that it did not make.
    """
    if not user_id:
        return ()
    segments = tuple(_plain(part) for part in user_id.split("/")[:-1])
    if join_scope(*segments) != user_id:
        raise InvalidMemoryError("this user stands for no path")
    return segments


def _escaped(segment: str) -> str:
    for plain, written in _ESCAPES:
        segment = segment.replace(plain, written)
    return segment


def _plain(written: str) -> str:
    for plain, escape in reversed(_ESCAPES):
        written = written.replace(escape, plain)
    return written


def as_sync(db: MemoryDb | str | Mapping[str, Any]) -> MemoryDb:
    """Return the database, or open the one that a config names.

    Raises ConfigError for such a config, TypeError for anything that is no synchronous MemoryDb.
    """
    if isinstance(db, (str, Mapping)):
        return open_memory_db(db)
    if isinstance(db, MemoryDb):  # pyright: ignore[reportUnnecessaryIsInstance]
        return db
    raise TypeError(f"a MemoryDb of version 2 or a config string, not {type(db).__name__}")


def as_async(db: AsyncMemoryDb | MemoryDb | str | Mapping[str, Any]) -> AsyncMemoryDb:
    """Return the asynchronous side of a database, or open that of the one a config names.

    A synchronous one runs in threads. Raises as ``as_sync``.
    """
    if isinstance(db, (str, Mapping)):
        return open_async_memory_db(db)
    if isinstance(db, AsyncMemoryDb):
        return db
    from buddy.memory.v2.db.threaded import ThreadedMemoryDb

    return ThreadedMemoryDb(as_sync(db))


def as_awaitable(db: MemoryDb) -> Any:
    """Return a synchronous database whose methods can be awaited, and never wait.

    A coroutine that awaits nothing else ends in one step: ``run(coroutine)`` returns its result.
    That makes one implementation serve the synchronous and the asynchronous side of a framework.
    """
    return Awaiting(db)
