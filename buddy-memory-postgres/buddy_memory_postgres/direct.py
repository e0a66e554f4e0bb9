"""Single statements of asyncio straight on psycopg's own connections.

SQLAlchemy runs an asynchronous driver in a greenlet, whose memory is mapped and unmapped for each
call: that costs a call on the loopback half as much again. Its pool is used here as everywhere, but
where a connection is idle, neither taking it nor a statement needs more than ``await``.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, PoolProxiedConnection, __version__
from sqlalchemy.util import greenlet_spawn

from buddy.memory.storage.sql import AsyncConnector, Query, Result
from buddy_memory_postgres.liveness import MustWait, is_fresh


def is_possible(version: str = __version__) -> bool:
    """Tell whether this SQLAlchemy's pool gives an idle connection without waiting for it."""
    major, minor, patch = map(int, re.findall(r"[0-9]+", version)[:3])
    return (major, minor) > (2, 1) or patch >= {0: 58, 1: 5}[minor]


class DirectConnector(AsyncConnector):
    """An AsyncConnector on engines of ours: autocommitting, and watched."""

    async def read(self, query: Query) -> Result:
        return await self._execute(query)

    async def write(self, query: Query) -> Result:
        return await self._execute(query)

    async def _execute(self, query: Query) -> Result:
        here = self._here()
        connection = await _take(here.engine)
        try:
            driver_connection: Any = connection.driver_connection
            cursor = await driver_connection.execute(query.sql, query.values)
            rows = await cursor.fetchall() if query.returns else []
            return Result(rows, cursor.rowcount)
        except BaseException as error:
            await greenlet_spawn(here.clean, connection, error)
            raise
        finally:
            connection.close()


async def _take(engine: Engine) -> PoolProxiedConnection:
    if engine.pool.checkedin():  # type: ignore[attr-defined]
        with suppress(MustWait):  # The last one in the pool was lost.
            connection = engine.raw_connection()
            if is_fresh(connection.info):
                return connection
            connection.close()  # It is the first one in the pool again.
    return await greenlet_spawn(engine.raw_connection)
