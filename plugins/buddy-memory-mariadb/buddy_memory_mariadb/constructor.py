"""The constructor that both versions share."""

from __future__ import annotations

from buddy.memory.storage.database_base import StoreBackedDatabase
from buddy.memory.storage.sql import SyncConnector
from buddy.memory.storage.sql.tables import check_name
from buddy_memory_mariadb.client import open_engine
from buddy_memory_mariadb.dialect import MariaDbDialect
from buddy_memory_mariadb.store import MariaDbStore
from buddy_memory_mariadb.url import parse


class MariaDbConstructor(StoreBackedDatabase):
    """Memories in MariaDB 10.5 or newer, reached by ``mariadb://user:password@host:3306/database``.

    ``table_name`` names the table of memories; summaries are kept in ``{table_name}_summaries``.
    The first write makes the tables. Objects of one process with one URL share its connections.
    ``expire`` is how many seconds a row lives that is written without a ``ttl``; None: for ever.
    Raises ConfigError; does no I/O.
    """

    def __init__(
        self,
        table_name: str = "memory",
        db_url: str | None = None,
        *,
        expire: float | None = None,
    ) -> None:
        check_name("table_name", table_name)
        engine, release = open_engine(parse(db_url))
        dialect = MariaDbDialect()
        connector = SyncConnector(engine, dialect.begin, release)
        store = MariaDbStore(connector, dialect, engine.dialect, table_name)
        super().__init__(store, {"table_name": table_name, "db_url": db_url, "expire": expire})
