"""What opening a database imports: the modules of its driver, and nothing that can wait."""

from __future__ import annotations

import subprocess
import sys

import pytest

DRIVERS = {
    "sqlite://": ["sqlite3", "sqlalchemy.dialects.sqlite.pysqlite"],
    "postgresql://host/db?table_name=memory": ["psycopg", "sqlalchemy.dialects.postgresql.psycopg"],
    "redis://host/0": ["redis"],
    "mongodb://host/db": ["pymongo"],
    "firestore://project": ["google.cloud.firestore"],
}
OPEN = """
import sys
from importlib import import_module
for driver in sys.argv[2:]:
    import_module(driver)
before = set(sys.modules)
from buddy.memory import open_memory_db
open_memory_db(sys.argv[1])
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.parametrize("url", DRIVERS)
def test_opening_imports_the_driver_and_ourselves(url: str) -> None:
    """Beyond its driver a backend imports its own modules only, and none of version 1."""
    command = [sys.executable, "-c", OPEN, url, *DRIVERS[url]]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    opened = set(printed.split())
    assert {name for name in opened if not name.startswith("buddy")} == set()
    assert opened & {"buddy.memory.db", "buddy.memory.row"} == set()
