"""What opening a database imports: the modules of its driver, and nothing that can wait."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import pytest


class Opening(NamedTuple):
    """What a user of the backend imports anyway, and the modules of ours that opening adds."""

    driver: tuple[str, ...]
    ours: int


OPENINGS = {
    "sqlite://": Opening(("sqlite3", "sqlalchemy.dialects.sqlite.pysqlite"), 26),
    "postgresql://host/db?table_name=memory": Opening(
        ("psycopg", "sqlalchemy.dialects.postgresql.psycopg"), 28
    ),
    "redis://host/0": Opening(("redis",), 34),
    "mongodb://host/db": Opening(("pymongo",), 26),
    "firestore://project": Opening(("google.cloud.firestore",), 27),
}

OPEN = """
import sys
from importlib import import_module
from buddy.memory import open_memory_db
for driver in sys.argv[2:]:
    import_module(driver)
before = set(sys.modules)
open_memory_db(sys.argv[1])
print(*sorted(set(sys.modules) - before - set(sys.builtin_module_names)))
"""


@pytest.mark.parametrize("url", OPENINGS)
def test_opening_imports_the_driver_and_ourselves(url: str) -> None:
    """Beyond its driver a backend imports its own modules only, this many, none of version 1."""
    driver, most = OPENINGS[url]
    command = [sys.executable, "-c", OPEN, url, *driver]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    opened = set(printed.split())
    assert {name for name in opened if not name.startswith("buddy")} == set()
    assert opened & {"buddy.memory.db", "buddy.memory.row"} == set()
    assert len(opened) <= most, sorted(opened)
