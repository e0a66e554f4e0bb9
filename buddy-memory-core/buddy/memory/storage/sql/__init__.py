"""The Store on SQLAlchemy, shared by the SQL backends and open to others (extra ``sql``)."""

from buddy.memory.storage.sql.connect import Answer, AsyncConnector, Connector, Query, SyncConnector
from buddy.memory.storage.sql.dialect import Fault, SqlDialect
from buddy.memory.storage.sql.store import SqlStore

__all__ = [
    "Answer",
    "AsyncConnector",
    "Connector",
    "Fault",
    "Query",
    "SqlDialect",
    "SqlStore",
    "SyncConnector",
]
