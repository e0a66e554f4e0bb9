"""PostgreSQL against hand-written psycopg 3 that does the same work on the same server.

python benchmarks/bench_postgres.py [--rows 1000,100000] [--url postgresql://…]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy
from measure import HEAD, Case, Result, machine, measure, save

from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow

ROOT = Path(__file__).resolve().parent.parent
USERS = 1000
SCHEMA = "bench"
COLUMNS = "seq, id, user_id, memory, created_at, updated_at, version"
GIVEN = "id, user_id, memory, created_at, updated_at"
INTO = f"INSERT INTO bench.hand ({GIVEN})"
OR_UPDATE = """
ON CONFLICT (id) DO UPDATE SET memory = excluded.memory, updated_at = excluded.updated_at,
version = hand.version + 1
RETURNING seq, created_at, updated_at, version
"""


def payload(n: int) -> dict[str, Any]:
    return {
        "memory": f"The user said the {n}th time that they like tea and long walks by the river",
        "topics": ["tea", "walks"],
        "last_updated": "2026-01-01T00:00:00+00:00",
        "score": n / 7,
    }


class ByHand:
    """What one would write without a library: one connection, one prepared statement each."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)

    @staticmethod
    def row(id: str, user: str, memory: dict[str, Any]) -> tuple[Any, ...]:
        now = datetime.now(timezone.utc)
        return id, user, json.dumps(memory), now, now

    def upsert(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        statement = f"{INTO} VALUES (%s, %s, %s, %s, %s) {OR_UPDATE}"
        return self.connection.execute(statement, self.row(id, user, memory)).fetchone()

    def upsert_many(self, rows: list[tuple[str, str, dict[str, Any]]]) -> list[Any]:
        """Upsert by COPY into a temporary table, and from there."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMP TABLE given (n int GENERATED ALWAYS AS IDENTITY, id text, "
                "user_id text, memory jsonb, created_at timestamptz, updated_at timestamptz) "
                "ON COMMIT DROP"
            )
            self._copy(cursor, "given", rows)
            cursor.execute(f"{INTO} SELECT {GIVEN} FROM given ORDER BY n {OR_UPDATE}")  # noqa: S608
            return cursor.fetchall()

    def copy_only(self, rows: list[tuple[str, str, dict[str, Any]]]) -> None:
        """COPY straight into the table: no upsert, and nothing comes back."""
        with self.connection.cursor() as cursor:
            self._copy(cursor, "bench.hand", rows)

    def _copy(self, cursor: Any, table: str, rows: Any) -> None:
        with cursor.copy(f"COPY {table} ({GIVEN}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(self.row(*row))

    @staticmethod
    def load(row: Any) -> dict[str, Any]:
        names = ("seq", "id", "user", "memory", "created", "updated", "version")
        return dict(zip(names, row, strict=True))

    def newest(self, user: str, limit: int) -> list[dict[str, Any]]:
        sql = f"SELECT {COLUMNS} FROM bench.hand WHERE user_id = %s ORDER BY seq DESC LIMIT %s"  # noqa: S608
        return [self.load(row) for row in self.connection.execute(sql, (user, limit)).fetchall()]

    def get(self, id: str) -> dict[str, Any] | None:
        sql = f"SELECT {COLUMNS} FROM bench.hand WHERE id = %s"  # noqa: S608
        row = self.connection.execute(sql, (id,)).fetchone()
        return None if row is None else self.load(row)

    def exists(self, id: str) -> bool:
        sql = "SELECT 1 FROM bench.hand WHERE id = %s"
        return self.connection.execute(sql, (id,)).fetchone() is not None

    def delete(self, id: str) -> None:
        self.connection.execute("DELETE FROM bench.hand WHERE id = %s", (id,))


def cases(url: str, rows: int) -> Iterator[Case]:
    """Yield the operations on two equal tables, one for each side."""
    dbs = [PostgresMemoryDb(name, SCHEMA, url) for name in ("ours", "hand")]
    for db in dbs:
        db.drop_table()
        for start in range(0, rows, 10_000):
            db.upsert_memories(
                MemoryRow(payload(n), f"id-{n}", f"user-{n % USERS}")
                for n in range(start, min(rows, start + 10_000))
            )
    ours, hand = dbs[0], ByHand(url)
    hand.connection.execute("ANALYZE")
    fresh = count()

    def case(name: str, times: int, one: Any, other: Any) -> Case:
        def repeat(call: Any) -> Any:
            return lambda: [call(n) for n in range(times)]

        return Case(name, rows, repeat(one), repeat(other), times, "≤ 1.5")

    yield case(
        "upsert, new row",
        300,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"new-{next(fresh)}", f"user-{n}")),
        lambda n: hand.upsert(f"new-{next(fresh)}", f"user-{n}", payload(n)),
    )
    yield case(
        "upsert, update",
        300,
        lambda n: ours.upsert_memory(MemoryRow(payload(n), f"id-{n}", f"user-{n}")),
        lambda n: hand.upsert(f"id-{n}", f"user-{n}", payload(n)),
    )
    yield case(
        "memory_exists",
        1000,
        lambda n: ours.memory_exists(MemoryRow({}, f"id-{n % rows}")),
        lambda n: hand.exists(f"id-{n % rows}"),
    )
    yield case(
        "read_memory",
        1000,
        lambda n: ours.read_memory(f"id-{n % rows}"),
        lambda n: hand.get(f"id-{n % rows}"),
    )
    heavy = [f"heavy-{n}" for n in range(200)]
    ours.upsert_memories(MemoryRow(payload(n), f"h{u}-{n}", u) for u in heavy for n in range(20))
    hand.upsert_many([(f"h{u}-{n}", u, payload(n)) for u in heavy for n in range(20)])
    yield case(
        "read_memories(user, limit=20)",
        200,
        lambda n: ours.read_memories(heavy[n], limit=20),
        lambda n: hand.newest(heavy[n], 20),
    )
    for write in (ours.upsert_memories, dbs[1].upsert_memories):
        write(MemoryRow(payload(n), f"d-{n}") for n in range(2000))
    deleted = count(), count()
    yield case(
        "delete_memory",
        200,
        lambda n: ours.delete_memory(f"d-{next(deleted[0])}"),
        lambda n: hand.delete(f"d-{next(deleted[1])}"),
    )

    def bulk(write: Any, make: Any) -> Any:
        def run() -> None:
            first = next(fresh) * 10_000
            write([make(first + n) for n in range(10_000)])

        return run

    mine = bulk(
        ours.upsert_memories, lambda n: MemoryRow(payload(n), f"b-{n}", f"user-{n % USERS}")
    )
    for name, write in (("COPY and upsert", hand.upsert_many), ("bare COPY", hand.copy_only)):
        other = bulk(write, lambda n: (f"b-{n}", f"user-{n % USERS}", payload(n)))
        yield Case(
            f"bulk upsert of 10,000, per row, against {name}", rows, mine, other, 10_000, "≤ 1.5"
        )
    for db in dbs:
        db.close()
    hand.connection.close()


def throughput(url: str, writes: int = 4000) -> str:
    """Return upserts per second of 8 threads and of 64 tasks, all connected before."""
    db = PostgresMemoryDb("ours", SCHEMA, url)

    def row(n: int) -> MemoryRow:
        return MemoryRow(payload(n), f"t-{n}", f"user-{n % USERS}")

    def threads(writes: int) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: db.upsert_memory(row(n)), range(writes)))

    async def tasks(db: AsyncPostgresMemoryDb, writes: int) -> None:
        numbers = iter(range(writes))

        async def worker() -> None:
            for n in numbers:
                await db.upsert_memory(row(n))

        await asyncio.gather(*[worker() for _ in range(64)])

    def by_threads() -> float:
        start = time.perf_counter()
        threads(writes)
        return writes / (time.perf_counter() - start)

    async def by_tasks() -> float:
        async with AsyncPostgresMemoryDb("ours", SCHEMA, url) as async_db:
            await tasks(async_db, 200)
            start = time.perf_counter()
            await tasks(async_db, writes)
            return writes / (time.perf_counter() - start)

    threads(200)
    pairs = [(by_threads(), asyncio.run(by_tasks())) for _ in range(5)]
    db.close()
    sync, concurrent = (sorted(side)[2] for side in zip(*pairs, strict=True))
    return f"upserts per second: {sync:,.0f} by 8 threads, {concurrent:,.0f} by 64 tasks"


def run(url: str, rows: list[int]) -> tuple[list[Result], str]:
    """Measure, print as it goes, and return the results."""
    with psycopg.connect(url, autocommit=True) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    where = machine(
        PostgreSQL=str(version and version[0]),
        psycopg=psycopg.__version__,
        SQLAlchemy=sqlalchemy.__version__,
    )
    print(where, HEAD, sep="\n\n")
    results: list[Result] = []
    for number in rows:
        results += measure(cases(url, number))
    print(throughput(url))
    return results, where


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000,100000")
    parser.add_argument("--url", help="a database to work in; default: a server of its own")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    rows = [int(number) for number in arguments.rows.split(",")]
    if arguments.url:
        results, where = run(arguments.url, rows)
    else:
        sys.path.insert(0, str(ROOT))
        from tests.servers.postgres import PostgresServer

        server = PostgresServer("fsync=on")  # As in production: what is committed is on disk.
        try:
            results, where = run(server.url(), rows)
        finally:
            server.stop()
    if arguments.json:
        save(arguments.json, results, where)


if __name__ == "__main__":
    main()
