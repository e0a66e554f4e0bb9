"""SQLite against hand-written sqlite3 that does the same work with the same durability.

python benchmarks/bench_sqlite.py [--rows 1000,100000]
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import scenario
import sqlalchemy
from measure import Result, machine, measure
from scenario import cases, fill

from buddy.memory.v2.db.sqlite import SqliteMemoryDb

COLUMNS = "seq, id, user_id, memory, created_at, updated_at, version"
UPSERT = """
INSERT INTO memory (id, user_id, memory, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET memory = excluded.memory, updated_at = excluded.updated_at,
version = memory.version + 1
"""


class ByHand:
    """What one would write without a library: one connection, one statement per operation."""

    def __init__(self, file: Path) -> None:
        self.connection = sqlite3.connect(file, isolation_level=None, timeout=30)
        self.connection.execute("PRAGMA journal_mode = WAL")

    @staticmethod
    def row(id: str, user: str, memory: dict[str, Any]) -> tuple[str, str, str, str, str]:
        now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(" ")
        return id, user, json.dumps(memory), now, now

    def upsert(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        sql = UPSERT + "RETURNING seq, created_at, updated_at, version"
        return self.connection.execute(sql, self.row(id, user, memory)).fetchone()

    def upsert_many(self, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(UPSERT, [self.row(*row) for row in rows])
        self.connection.execute("COMMIT")

    @staticmethod
    def load(row: Any) -> dict[str, Any]:
        _seq, id, user, memory, created, updated, version = row
        return {
            "id": id,
            "user": user,
            "memory": json.loads(memory),
            "created": datetime.fromisoformat(created).replace(tzinfo=timezone.utc),
            "updated": datetime.fromisoformat(updated).replace(tzinfo=timezone.utc),
            "version": version,
        }

    def newest(self, user: str, limit: int) -> list[dict[str, Any]]:
        sql = f"SELECT {COLUMNS} FROM memory WHERE user_id = ? ORDER BY seq DESC LIMIT ?"  # noqa: S608
        return [self.load(row) for row in self.connection.execute(sql, (user, limit)).fetchall()]

    def get(self, id: str) -> dict[str, Any] | None:
        sql = f"SELECT {COLUMNS} FROM memory WHERE id = ?"  # noqa: S608
        row = self.connection.execute(sql, (id,)).fetchone()
        return None if row is None else self.load(row)

    def exists(self, id: str) -> bool:
        sql = "SELECT 1 FROM memory WHERE id = ?"
        return self.connection.execute(sql, (id,)).fetchone() is not None

    def delete(self, id: str) -> None:
        self.connection.execute("DELETE FROM memory WHERE id = ?", (id,))


ITERATE = """
import sys
def peak():
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0])
empty = peak()
from buddy.memory import open_memory_db
db = open_memory_db(sys.argv[1])
n = sum(1 for row in db.iter_memories())
print(n, (peak() - empty) / 1024)
"""


def iteration_memory(url: str) -> str:
    """Return how many rows a process iterated over, and by how many MiB its peak grew."""
    command = [sys.executable, "-c", ITERATE, url]
    rows, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return f"iter_memories over {int(rows):,} rows: {float(grown):.1f} MiB above the empty process"


TARGETS = {
    "upsert, new row": "≤ 1.5",
    "upsert, update": "≤ 1.5",
    "memory_exists": "+ 60 µs",
    "read_memory": "+ 60 µs",
    "read_memories(user, limit=20)": "≤ 3",
    "bulk": "≤ 2",
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:

        def run(rows: int) -> list[Result]:
            files = [Path(folder) / f"{side}-{rows}.db" for side in ("ours", "hand")]
            for file in files:
                with SqliteMemoryDb(db_file=file) as db:
                    fill(db, rows)
            with SqliteMemoryDb(db_file=files[0]) as ours:
                results = measure(cases(ours, ByHand(files[1]), rows, TARGETS))
            print(iteration_memory(f"sqlite:///{files[0]}"))
            return results

        def where() -> str:
            return machine(SQLite=sqlite3.sqlite_version, SQLAlchemy=sqlalchemy.__version__)

        scenario.main(__doc__, where, run)


if __name__ == "__main__":
    main()
