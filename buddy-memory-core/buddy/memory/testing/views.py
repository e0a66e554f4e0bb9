"""Databases and stores as every check sees them: synchronous, and honest about what they lack."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Container
from typing import Any

from buddy.memory.errors import UnsupportedError
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.base import AsyncMemoryDb

OPTIONS = frozenset({"if_version", "ttl", "user_id", "user_prefix"})
"""Arguments that a class with the eight abstract methods only may lack."""


class AsyncView:
    """An AsyncMemoryDb as if it were synchronous: its calls run on a loop in another thread."""

    def __init__(self, db: AsyncMemoryDb, loop: asyncio.AbstractEventLoop) -> None:
        self.async_db = db
        self._loop = loop

    def wait(self, awaitable: Any) -> Any:
        """Return what an awaitable of the database comes to."""
        return asyncio.run_coroutine_threadsafe(awaitable, self._loop).result()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.async_db, name)
        if name.startswith("iter_"):
            return lambda *args, **kwargs: iter(self.wait(_collect(method, args, kwargs)))
        if name == "to_dict":
            return method
        return lambda *args, **kwargs: self.wait(method(*args, **kwargs))

    def __repr__(self) -> str:
        return repr(self.async_db)

    def __enter__(self) -> AsyncView:
        self.wait(self.async_db.__aenter__())
        return self

    def __exit__(self, *error: Any) -> None:
        self.wait(self.async_db.__aexit__(*error))


async def _collect(method: Any, args: Any, kwargs: Any) -> list[Any]:
    return [row async for row in method(*args, **kwargs)]


class StoreView:
    """The Store of a database, with its primitives as plain calls."""

    def __init__(self, store: Any, wait: Callable[[Any], Any]) -> None:
        self._store, self._wait = store, wait

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return lambda *args, **kwargs: self._wait(method(*args, **kwargs))


def store_of(db: Any) -> StoreView:
    """Return the Store of a database. Raises UnsupportedError where it has none."""
    origin = undressed(db)
    if not isinstance(origin, StoreBackedDatabase):
        raise UnsupportedError(type(origin).__name__, "the primitives of a Store")
    is_async = isinstance(db, AsyncView) and isinstance(origin, AsyncMemoryDb)
    store = vars(origin)["_rules"].store  # Private to users of the database, and not to its kit.
    return StoreView(store, db.wait if is_async else run)


def undressed(db: Any) -> Any:
    """Return the database itself, without views and threads around it."""
    db = db.async_db if isinstance(db, AsyncView) else db
    return getattr(db, "sync_db", db)


def capable(db: Any, name: str) -> Callable[..., Any]:
    """Return a method of which what the contract does not demand of it is "not supported":
    some arguments, and telling whether there was a row to delete."""
    method, parameters = getattr(db, name), _parameters(db, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        for option in OPTIONS & kwargs.keys():
            if option not in parameters:
                raise UnsupportedError(type(db).__name__, f"{option} of {name}")
        result = method(*args, **kwargs)
        if result is None and name == "delete_memory":
            raise UnsupportedError(type(db).__name__, "telling whether there was a row")
        return result

    return call


def require_close(db: Any) -> None:
    """Raise UnsupportedError for a database that opens nothing, and so has nothing to close."""
    origin = undressed(db)
    defaults = {vars(cls).get("close") for cls in type(origin).__mro__ if inspect.isabstract(cls)}
    if getattr(type(origin), "close", None) in defaults:
        raise UnsupportedError(type(origin).__name__, "closing")


def _parameters(db: Any, name: str) -> Container[str]:
    found = inspect.signature(getattr(undressed(db), name)).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in found.values())
    return OPTIONS if takes_any else found
