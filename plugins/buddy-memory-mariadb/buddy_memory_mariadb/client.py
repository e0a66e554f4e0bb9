"""The engine of a URL, shared by the objects of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymysql
import sqlalchemy as sa
from sqlalchemy import event

from buddy.memory.errors import TooLargeError
from buddy.memory.storage.sql.engine_cache import acquire


class Connection(pymysql.Connection):
    """A connection that refuses what the server would not take.

    The server ends the connection in the middle of a packet over its ``max_allowed_packet``. Often
    the driver then sees a connection that is lost, and not the reason.
    """

    def connect(self, sock: Any = None) -> None:
        """Connect, and ask the server for its limit."""
        super().connect(sock)
        with self.cursor() as cursor:
            cursor.execute("SELECT @@max_allowed_packet")
            row: Any = cursor.fetchone()
            self.max_allowed_packet = int(row[0])

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        """Send a statement. Raises TooLargeError for one that the server does not take."""
        limit = self.max_allowed_packet - 1
        if len(sql) > limit // 4:
            size = len(sql.encode(self.encoding) if isinstance(sql, str) else sql)
            if size > limit:
                raise TooLargeError(size, limit)
        return super().query(sql, unbuffered)


def open_engine(url: sa.URL) -> tuple[sa.Engine, Callable[[], None]]:
    """Return the engine, and the function that gives it back; the last one closes it."""
    return acquire(("mariadb", url), lambda: _make(url))


_STRICT = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"


def _connect(dialect: Any, record: Any, args: Any, options: Any) -> Connection:
    return Connection(*args, **options)


def _make(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        # Single statements commit by themselves; transactions are begun explicitly.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        # Without it a server may be set up to cut what is too long for a column.
        connect_args={"init_command": _STRICT},
        # A connection that a restart of the server has ended is noticed before it is used.
        pool_pre_ping=True,
    )
    event.listen(engine, "do_connect", _connect)
    # SQLAlchemy would learn it from the first connection; we compile before there is one.
    engine.dialect.insert_returning = True
    return engine
