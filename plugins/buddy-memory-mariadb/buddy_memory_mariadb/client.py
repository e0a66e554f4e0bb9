"""The engine of a URL, shared by the objects of this process."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from buddy.memory.storage.sql.engine_cache import acquire


def open_engine(url: sa.URL) -> tuple[sa.Engine, Callable[[], None]]:
    """Return the engine, and the function that gives it back; the last one closes it."""
    return acquire(("mariadb", url), lambda: _make(url))


_STRICT = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"


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
    # SQLAlchemy would learn it from the first connection; we compile before there is one.
    engine.dialect.insert_returning = True
    return engine
