"""PostgreSQL against hand-written psycopg 3 that does the same work on the same server.

python benchmarks/bench_postgres.py [--sizes 1000,100000]
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import partial
from typing import Any

import psycopg
import scenario
import sqlalchemy
from measure import Result, machine, measure
from scenario import bulk_case, cases, fill, throughput

from buddy.memory.v2.db.postgres import AsyncPostgresMemoryDb, PostgresMemoryDb

SCHEMA = "bench"
COLUMNS = "seq, id, user_id, memory, created_at, updated_at, version"
GIVEN = "id, user_id, memory, created_at, updated_at"
INTO = f"INSERT INTO bench.hand ({GIVEN})"
OR_UPDATE = """
ON CONFLICT (id) DO UPDATE SET memory = excluded.memory, updated_at = excluded.updated_at,
version = hand.version + 1
RETURNING seq, created_at, updated_at, version
"""


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


TARGETS = dict.fromkeys(
    ("upsert, new row", "upsert, update", "memory_exists", "read_memory", "delete_memory",
     "read_memories(user, limit=20)", "bulk"),
    "≤ 1.5",
)  # fmt: skip


def run(url: str, rows: int) -> list[Result]:
    """Measure on two equal tables, one for each side."""
    for name in ("ours", "hand"):
        with PostgresMemoryDb(name, SCHEMA, url) as db:
            db.drop_table()
            fill(db, rows)
    hand = ByHand(url)
    hand.connection.execute("ANALYZE")
    with PostgresMemoryDb("ours", SCHEMA, url) as ours:
        results = measure(cases(ours, hand, rows, TARGETS))
        bare = bulk_case(ours.upsert_memories, hand.copy_only, rows, "≤ 1.5", ", against bare COPY")
        results += measure([bare])
        print(throughput(ours, lambda: AsyncPostgresMemoryDb("ours", SCHEMA, url)))
    hand.connection.close()
    return results


def where(url: str) -> str:
    with psycopg.connect(url) as connection:
        version = connection.execute("SHOW server_version").fetchone()
    return machine(
        PostgreSQL=str(version and version[0]),
        psycopg=psycopg.__version__,
        SQLAlchemy=sqlalchemy.__version__,
    )


def main() -> None:
    from tests.servers.postgres import PostgresServer

    server = PostgresServer("fsync=on")
    try:
        url = server.url()
        scenario.main(__doc__, partial(where, url), partial(run, url))
    finally:
        server.stop()


if __name__ == "__main__":
    main()
