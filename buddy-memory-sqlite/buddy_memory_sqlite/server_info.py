"""What ``buddy-memory check`` tells: version, settings, and how acknowledged writes may be lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_IN_MEMORY = "in memory"
_SYNCHRONOUS = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


def server_info(connection: sa.Connection) -> dict[str, str]:
    """Return the file, the version and the settings that decide whether writes survive."""

    def pragma(name: str) -> Any:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    level = pragma("synchronous")
    return {
        "file": connection.engine.url.database or _IN_MEMORY,
        "SQLite": str(connection.exec_driver_sql("SELECT sqlite_version()").scalar()),
        "journal mode": str(pragma("journal_mode")).upper(),
        "synchronous": _SYNCHRONOUS.get(level, str(level)),
    }


def durability_warnings(info: Mapping[str, str]) -> list[str]:
    """Return how acknowledged writes may be lost with these settings, a clause each."""
    if info["file"] == _IN_MEMORY:
        return ["all is gone when this process ends (in memory)"]
    if info.get("synchronous") == "OFF" or info.get("journal mode") in ("OFF", "MEMORY"):
        return ["a crash of the machine may damage the file"]
    if info.get("synchronous") == "NORMAL":
        return ["a crash of the machine may lose the last writes (synchronous NORMAL)"]
    return []
