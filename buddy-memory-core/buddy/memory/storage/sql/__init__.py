"""The Store on SQLAlchemy, shared by the SQL backends and open to others (extra ``sql``)."""

from buddy.memory.storage.sql.connector import (
    AsyncConnector,
    Connector,
    Query,
    Result,
    SyncConnector,
)
from buddy.memory.storage.sql.dialect import Fault, SqlDialect
from buddy.memory.storage.sql.store import SqlStore

__all__ = [
    "AsyncConnector",
    "Connector",
    "Fault",
    "Query",
    "Result",
    "SqlDialect",
    "SqlStore",
    "SyncConnector",
]
