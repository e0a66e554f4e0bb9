"""What opening a database imports: the modules of its driver, and nothing that can wait."""

from __future__ import annotations

import subprocess
import sys

import pytest

DRIVERS = {
    "memory://": ("base64", "hashlib", "ipaddress", "urllib.parse"),
    "sqlite://": ("sqlite3", "sqlalchemy.dialects.sqlite.pysqlite"),
    "postgresql://host/db?table_name=memory": (
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
    ),
    "redis://host/0": ("redis",),
    "mongodb://host/db": ("pymongo",),
    # It has no pool of its own for requests at once.
    "firestore://project": ("google.cloud.firestore", "concurrent.futures.thread"),
}
"""What a user of the backend imports anyway."""

CAN_WAIT = {
    "buddy.agent",
    "buddy.memory.agent",
    "buddy.memory.cli",
    "buddy.memory.conversation",
    "buddy.memory.db",
    "buddy.memory.row",
    "buddy.memory.testing",
    "buddy.memory.transfer",
    "buddy.memory.v2.db.threaded",
    "buddy.memory.v2.memory",
}
"""Parts of ours that a synchronous database of version 2 does without."""

OPEN = """
import sys
from importlib import import_module
from buddy.memory import backends, open_memory_db
backends()  # The scan for entry points comes with the first lookup of a process.
for driver in sys.argv[2:]:
    import_module(driver)
before = set(sys.modules)
open_memory_db(sys.argv[1])
print(*sorted(set(sys.modules) - before - set(sys.builtin_module_names)))
"""


@pytest.mark.parametrize("url", DRIVERS)
def test_opening_imports_the_driver_and_ourselves(url: str) -> None:
    """Beyond its driver a backend imports its own modules only, and none of what can wait."""
    command = [sys.executable, "-c", OPEN, url, *DRIVERS[url]]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    opened = set(printed.split())
    assert {name for name in opened if not name.startswith("buddy")} == set()
    assert opened & CAN_WAIT == set()
