"""What ``buddy-memory check`` tells of a server: version, settings, what may lose writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

# Engines that only speak the protocol lack some settings: those come back as NULL.
_SETTINGS = """
SELECT current_setting('server_version'), current_database(), current_schema(),
    current_setting('transaction_isolation', true), current_setting('synchronous_commit', true),
    current_setting('fsync', true), current_setting('transaction_read_only', true) = 'on',
    current_setting('in_hot_standby', true) = 'on', pg_backend_pid(),
    (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid())
"""


def read_server_info(
    connection: sa.Connection, table_name: str, schema: str | None
) -> dict[str, str]:
    """Return the facts by name, read with one statement that every role may run.

    ``access`` tells whether this session may write, which a standby refuses (``in_hot_standby`` is
    of PostgreSQL 14). ``TLS`` is of the client's own connection.
    """
    row = connection.exec_driver_sql(_SETTINGS).one()
    server, database, default, isolation, commits, fsync, read_only, standby, behind, tls = row
    schema = schema or default
    info = {
        "PostgreSQL": server,
        "database": database,
        "table": f"{schema}.{table_name}" if schema else table_name,
        "access": "read only, a standby" if standby else "read only" if read_only else "read/write",
        "isolation": isolation,
        "synchronous_commit": commits,
        "fsync": fsync,
        "TLS": _tls(connection.connection.driver_connection, behind, tls),
    }
    return {name: value for name, value in info.items() if value is not None}


def durability_warnings(info: Mapping[str, str]) -> list[str]:
    """Return how acknowledged writes may be lost where this is the info, a clause each."""
    found: list[str] = []
    if info.get("fsync") == "off":
        found.append("a crash of the machine may damage the database (fsync off)")
    if info.get("synchronous_commit") == "off":
        found.append("a crash of the server loses the last writes (synchronous_commit off)")
    return found


def _tls(driver_connection: Any, behind: int, version: str | None) -> str:
    """Return the version of TLS, or "on" where a pooler answers: the server sees another link."""
    session = driver_connection.pgconn
    if not session.ssl_in_use:
        return "off"
    return version if version and behind == session.backend_pid else "on"
