"""SQLite against hand-written sqlite3 that does the same work with the same durability.

python benchmarks/bench_sqlite.py [--rows 1000,100000]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy
from measure import HEAD, Case, Result, machine, measure, save

from buddy.memory import open_memory_db
from buddy.memory.v2.db.schema import MemoryRow

USERS = 1000
COLUMNS = "seq, id, user_id, memory, created_at, updated_at, version"
UPSERT = """
INSERT INTO memory (id, user_id, memory, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET memory = excluded.memory, updated_at = excluded.updated_at,
version = memory.version + 1
"""


def payload(n: int) -> dict[str, Any]:
    return {
        "memory": f"The user said for the {n}th time that they like tea and walks by the river",
        "topics": ["tea", "walks"],
        "last_updated": "2026-01-01T00:00:00+00:00",
        "score": n / 7,
    }


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


def cases(folder: Path, rows: int) -> Iterator[Case]:
    """Yield the operations on two equal files, one for each side."""
    dbs = []
    for side in ("ours", "hand"):
        db = open_memory_db(f"sqlite:///{folder}/{side}-{rows}.db")
        for start in range(0, rows, 10_000):
            db.upsert_memories(
                MemoryRow(payload(n), f"id-{n}", f"user-{n % USERS}")
                for n in range(start, min(rows, start + 10_000))
            )
        dbs.append(db)
    ours, hand = dbs[0], ByHand(folder / f"hand-{rows}.db")
    dbs[1].close()
    fresh = count()

    def repeat(times: int, call: Any) -> Any:
        def run() -> None:
            for n in range(times):
                call(n)

        return run

    def case(name: str, times: int, one: Any, other: Any, target: str) -> Case:
        return Case(name, rows, repeat(times, one), repeat(times, other), times, target)

    yield case(
        "upsert, new row",
        200,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"new-{next(fresh)}", f"user-{n}")),
        lambda n: hand.upsert(f"new-{next(fresh)}", f"user-{n}", payload(n)),
        "≤ 1.5",
    )
    yield case(
        "upsert, update",
        200,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"id-{n}", f"user-{n}")),
        lambda n: hand.upsert(f"id-{n}", f"user-{n}", payload(n)),
        "≤ 1.5",
    )
    yield case(
        "memory_exists",
        2000,
        lambda n: ours.memory_exists(MemoryRow({}, f"id-{n % rows}")),
        lambda n: hand.exists(f"id-{n % rows}"),
        "+ 60 µs",
    )
    yield case(
        "read_memory",
        2000,
        lambda n: ours.read_memory(f"id-{n % rows}"),
        lambda n: hand.get(f"id-{n % rows}"),
        "+ 60 µs",
    )
    heavy = [f"user-{n}" for n in range(200)]
    ours.upsert_memories(MemoryRow(payload(n), f"h{u}-{n}", u) for u in heavy for n in range(20))
    hand.upsert_many([(f"h{u}-{n}", u, payload(n)) for u in heavy for n in range(20)])
    yield case(
        "read_memories(user, limit=20)",
        200,
        lambda n: ours.read_memories(heavy[n], limit=20),
        lambda n: hand.newest(heavy[n], 20),
        "≤ 3",
    )
    yield case(
        "delete_memory",
        100,
        lambda n: ours.delete_memory(f"new-{n}"),
        lambda n: hand.delete(f"new-{n}"),
        "",
    )

    def bulk(write: Any, make: Any) -> Any:
        def run() -> None:
            first = next(fresh) * 10_000
            write([make(first + n) for n in range(10_000)])

        return run

    yield Case(
        "bulk upsert of 10,000, per row",
        rows,
        bulk(ours.upsert_memories, lambda n: MemoryRow(payload(n), f"b-{n}", f"user-{n % USERS}")),
        bulk(hand.upsert_many, lambda n: (f"b-{n}", f"user-{n % USERS}", payload(n))),
        10_000,
        "≤ 2",
    )
    ours.close()


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000,100000")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    results: list[Result] = []
    where = machine(SQLite=sqlite3.sqlite_version, SQLAlchemy=sqlalchemy.__version__)
    print(where, HEAD, sep="\n\n")
    with tempfile.TemporaryDirectory() as folder:
        for rows in map(int, arguments.rows.split(",")):
            results += measure(cases(Path(folder), rows))
        print(iteration_memory(f"sqlite:///{folder}/ours-{rows}.db"))
    if arguments.json:
        save(arguments.json, results, where)


if __name__ == "__main__":
    main()
