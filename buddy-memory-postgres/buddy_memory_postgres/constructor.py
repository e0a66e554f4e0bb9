"""The constructor that all classes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import sqlalchemy as sa

from buddy.memory.errors import ConfigError
from buddy.memory.storage.settings import Settings
from buddy_memory_postgres.dialect import MAX_NAME_BYTES, PostgresDialect
from buddy_memory_postgres.engine import POOL_SIZE, open_async, open_sync
from buddy_memory_postgres.store import PostgresStore

if TYPE_CHECKING:
    # Its import takes 30 ms, which the synchronous class does not need.
    from sqlalchemy.ext.asyncio import AsyncEngine


class PostgresConstructor(Settings):
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
    - ``distributed_by_user``: makes ``user_id`` part of the primary key, which Citus demands of a
      distribution column. Ids are then unique for each user only, and every row needs a user.
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
        distributed_by_user: bool = False,
    ) -> None:
        _check_name("table_name", table_name)
        if schema is not None:
            _check_name("schema", schema)
        dialect = PostgresDialect(distributed_by_user)
        open_ = open_async if self.asynchronous else open_sync
        opened = open_(db_url, db_engine, pool_size, prepare)
        settings = {
            "table_name": table_name,
            "schema": schema,
            "db_url": db_url,
            "db_engine": db_engine,
            "pool_size": pool_size,
            "prepare": prepare,
            "distributed_by_user": distributed_by_user,
        }
        make = _asynchronous_store() if self.asynchronous else PostgresStore
        super().__init__(make(*opened, dialect, table_name, schema), settings)


def _asynchronous_store() -> type[PostgresStore]:
    from buddy_memory_postgres.together import TogetherStore

    return TogetherStore


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or not name or "\0" in name:
        raise ConfigError(f"{what} must be a string that is not empty, not {name!r:.80}")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ConfigError(f"{what} must be Unicode text, not {name!r:.80}") from None
    if size > MAX_NAME_BYTES:
        # PostgreSQL would cut it, and two long names could become one table.
        raise ConfigError(
            f"{what} may have {MAX_NAME_BYTES} bytes, the most that PostgreSQL keeps; "
            f"{name!r:.80} has {size}"
        )
