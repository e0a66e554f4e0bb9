"""Connections on which every wait for the server ends (rule R21).

psycopg waits for an answer as long as it takes. Here each statement has a deadline, trickled bytes
included; when it has passed the connection is closed, since an answer may still come on it.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any

import psycopg
from psycopg import waiting

LONG = 3600.0
"""Seconds that DDL, and a deletion of everything, may take: their time grows with the rows."""

_INTERVAL = 0.1
"""Seconds after which a wait looks at its deadline."""

_is_long: ContextVar[bool] = ContextVar("buddy_memory_postgres_is_long", default=False)


@contextmanager
def long_statements() -> Generator[None]:
    """In its ``with`` block, statements may take LONG."""
    token = _is_long.set(True)
    try:
        yield
    finally:
        _is_long.reset(token)


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when a statement takes more than ``seconds`` (None: any time)."""

    seconds: float | None = None

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg's, and raise OperationalError when the time is over."""
        return super().wait(_bounded(gen, self), *args, **kwargs)


class BoundedAsyncConnection(psycopg.AsyncConnection[Any]):
    """A BoundedConnection for asyncio; a call that is cancelled closes it at once."""

    seconds: float | None = None

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """As psycopg's, and raise OperationalError when the time is over."""
        try:
            return await waiting.wait_async(_bounded(gen, self), self.pgconn.socket, _INTERVAL)
        except (CancelledError, KeyboardInterrupt):
            # psycopg asks the server to cancel the statement, and waits for that.
            self.pgconn.finish()
            raise


def _bounded(gen: Any, connection: BoundedConnection | BoundedAsyncConnection) -> Any:
    seconds = inf if connection.seconds is None else connection.seconds
    return _until(gen, connection, max(LONG, seconds) if _is_long.get() else seconds)


def _until(gen: Any, connection: Any, seconds: float) -> Generator[Any, Any, Any]:
    """Yield what ``gen`` waits for, until it returns or the time is over."""
    deadline = monotonic() + seconds
    try:
        state = next(gen)
        while True:
            ready = yield state
            if monotonic() > deadline:
                connection.pgconn.finish()
                raise psycopg.OperationalError(f"no answer within {seconds:g} s")
            state = gen.send(ready)
    except StopIteration as returned:
        return returned.value
    except psycopg.errors.FeatureNotSupported:
        # "cached plan must not change result type": what was prepared here is good for nothing
        # since a column was altered.
        connection.pgconn.finish()
        raise


def connect(parameters: dict[str, Any], seconds: float | None) -> BoundedConnection:
    """Open a connection with these parameters of libpq."""
    connection = BoundedConnection.connect(**parameters)
    connection.seconds = seconds
    return connection


async def connect_async(
    seconds: float | None, conninfo: str = "", **parameters: Any
) -> BoundedAsyncConnection:
    """As ``connect``, for asyncio, with the arguments of psycopg."""
    connection = await BoundedAsyncConnection.connect(conninfo, **parameters)
    connection.seconds = seconds
    return connection
