"""The constructor that both versions share: from a URL to an engine."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import exc

from buddy.memory.config import redact
from buddy.memory.errors import ConfigError
from buddy.memory.storage.settings import Settings
from buddy.memory.storage.sql import SyncConnector
from buddy.memory.storage.sql.engines import acquire
from buddy_memory_mariadb.dialect import MariaDbDialect
from buddy_memory_mariadb.store import MariaDbStore

_DRIVER = "mariadb+pymysql"


class MariaDbConstructor(Settings):
    """Memories in MariaDB 10.5 or newer, reached by ``mariadb://user:password@host:3306/database``.

    ``table_name`` names the table of memories; summaries are kept in ``{table_name}_summaries``.
    The first write makes the tables. Objects of one process with one URL share its connections.
    Raises ConfigError; does no I/O.
    """

    def __init__(self, table_name: str = "memory", db_url: str | None = None) -> None:
        url = _parse(db_url)
        engine, release = acquire(("mariadb", url), lambda: _make(url))
        dialect = MariaDbDialect()
        connector = SyncConnector(engine, dialect.begin, release)
        store = MariaDbStore(connector, dialect, engine.dialect, table_name)
        super().__init__(store, {"table_name": table_name, "db_url": db_url})


def _parse(db_url: object) -> sa.URL:
    if not isinstance(db_url, str):
        raise ConfigError("give db_url, such as mariadb://user:password@host/database")
    try:
        url = sa.make_url(db_url)
    except (exc.ArgumentError, ValueError):
        raise ConfigError(f"{redact(db_url)!r} is not a MariaDB URL") from None
    if url.drivername not in ("mariadb", _DRIVER) or not url.database:
        raise ConfigError("a MariaDB URL is mariadb://user:password@host:port/database")
    return url.set(drivername=_DRIVER)


def _make(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        # Single statements commit by themselves; transactions are begun explicitly.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        # A connection that a restart of the server has ended is noticed before it is used.
        pool_pre_ping=True,
    )
    # SQLAlchemy would learn it from the first connection; we compile before there is one.
    engine.dialect.insert_returning = True
    return engine
