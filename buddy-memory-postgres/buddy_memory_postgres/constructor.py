"""The constructor that all classes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import sqlalchemy as sa

from buddy.memory.errors import ConfigError
from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.sql.tables import check_name
from buddy_memory_postgres.client import POOL_SIZE, open_async, open_sync
from buddy_memory_postgres.schema import MAX_NAME_BYTES
from buddy_memory_postgres.store import PostgresStore

if TYPE_CHECKING:
    # Its import takes 30 ms, which the synchronous class does not need.
    from sqlalchemy.ext.asyncio import AsyncEngine


TIMEOUT = 10.0
"""Seconds that a call waits for the server, unless told otherwise."""


class PostgresConstructor(StoreBackedDatabase):
    """Memories in PostgreSQL, reached by ``db_engine`` or ``db_url``, whichever is given first.

    ``table_name`` names the table of memories in ``schema`` (None: the connection's default one);
    summaries are kept in ``{table_name}_summaries`` beside it. The first write makes what is
    missing. Raises ConfigError; does no I/O.

    - ``db_url``: ``postgresql://user:password@host:port/database?parameter=…``, with any parameter
      of libpq. All objects of one process with the same URL and options share one pool.
    - ``db_engine``: an Engine (an AsyncEngine for the asynchronous class) on psycopg 3.
    - ``pool_size``: the most connections that this process opens to ``db_url``.
    - ``prepare``: whether the server keeps prepared statements. None asks each new connection
      whether it leads straight to a server, and only then prepares: behind PgBouncer in
      transaction mode the next statement may reach another server process.
    - ``timeout``: seconds that connecting, waiting for a connection of the pool, and each statement
      may take; None: no limit. DDL, and deletions of everything, may take an hour. The connection
      is thrown away then. ``db_engine`` keeps its own limits.
    - ``row_security``: say in each call to the server whose rows it is about, for tables under the
      policies that ``buddy-memory rls`` prints. A role under them gets AccessError for calls across
      users. Costs a transaction for each call.
    - ``expire``: how many seconds a row lives that is written without a ``ttl``; None: for ever.
    """

    asynchronous: ClassVar[bool] = False

    def __init__(
        self,
        table_name: str,
        schema: str | None = "ai",
        db_url: str | None = None,
        db_engine: sa.Engine | AsyncEngine | None = None,
        pool_size: int = POOL_SIZE,
        prepare: bool | None = None,
        *,
        timeout: float | None = TIMEOUT,
        expire: float | None = None,
        row_security: bool = False,
    ) -> None:
        _check_name("table_name", table_name)
        if schema is not None:
            _check_name("schema", schema)
        open_ = open_async if self.asynchronous else open_sync
        opened = open_(db_url, db_engine, pool_size, prepare, timeout)
        settings = {
            "table_name": table_name,
            "schema": schema,
            "db_url": db_url,
            "db_engine": db_engine,
            "pool_size": pool_size,
            "prepare": prepare,
            "timeout": timeout,
            "expire": expire,
            "row_security": row_security,
        }
        make = _store_class(row_security, self.asynchronous)
        super().__init__(make(*opened, table_name, schema), settings)


def _store_class(row_security: Any, asynchronous: bool) -> type[PostgresStore]:
    if row_security not in (True, False):
        raise ConfigError(f"row_security must be True or False, not {row_security!r:.80}")
    if row_security:  # Calls of several users do not share a statement then.
        from buddy_memory_postgres.row_security import RowSecurityStore

        return RowSecurityStore
    if asynchronous:
        from buddy_memory_postgres.batching import BatchingStore

        return BatchingStore
    return PostgresStore


def _check_name(option: str, name: str) -> None:
    check_name(option, name)
    size = len(name.encode())
    if size > MAX_NAME_BYTES:
        # PostgreSQL would cut it, and two long names could become one table.
        raise ConfigError(
            f"{option} may have {MAX_NAME_BYTES} bytes, the most that PostgreSQL keeps; "
            f"{name!r:.80} has {size}"
        )
