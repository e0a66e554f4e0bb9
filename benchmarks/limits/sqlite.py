"""The limit for SQLite: sqlite3 by hand, with the same table, order, versions and fsyncs."""

from __future__ import annotations

import json
import sqlite3
import threading
from datetime import datetime, timezone
from typing import Any

from benchmarks.sides import PAGE, Row, chunks, in_threads

TABLE = """
CREATE TABLE IF NOT EXISTS memory (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,
user_id TEXT NOT NULL, memory TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
version INTEGER NOT NULL DEFAULT 1, UNIQUE (id, user_id));
CREATE UNIQUE INDEX IF NOT EXISTS by_user ON memory (user_id, seq);
"""
ROW = "(?, ?, ?, ?, ?)"
UPSERT = f"""
INSERT INTO memory (id, user_id, memory, created_at, updated_at) VALUES {ROW}
ON CONFLICT (id, user_id) DO UPDATE SET memory = excluded.memory,
updated_at = excluded.updated_at, version = memory.version + 1
RETURNING seq, created_at, updated_at, version
"""
COLUMNS = "SELECT seq, id, user_id, memory, created_at, updated_at, version FROM memory"


class Limit:
    """One connection for each thread, one writer at a time."""

    name = "by hand"
    store = "limit"
    asynchronous = False

    def __init__(self, where: str, name: str) -> None:
        self.file = f"{where}/{name}.db"

    def open(self) -> None:
        self.mine, self.turn = threading.local(), threading.Lock()
        self.connections: list[sqlite3.Connection] = []

    def create(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(TABLE)

    @property
    def connection(self) -> sqlite3.Connection:
        try:
            return self.mine.connection  # type: ignore[no-any-return]
        except AttributeError:
            made = sqlite3.connect(
                self.file, isolation_level=None, timeout=30, check_same_thread=False
            )
            made.execute("PRAGMA temp_store = MEMORY")  # else put_many writes twice as much
            self.mine.connection = made
            self.connections.append(made)
            return made

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        with self.turn:
            return self.connection.execute(UPSERT, dump(id, user, memory)).fetchone()

    def put_many(self, rows: list[Row]) -> list[Any]:
        written = []
        with self.turn:
            self.connection.execute("BEGIN IMMEDIATE")
            for some in chunks(rows, 1000):
                sql = UPSERT.replace(ROW, ", ".join([ROW] * len(some)))
                values = [value for row in some for value in dump(*row)]
                written += self.connection.execute(sql, values).fetchall()
            self.connection.execute("COMMIT")
        return written

    def exists(self, id: str, user: str) -> bool:
        sql = "SELECT 1 FROM memory WHERE id = ? AND user_id = ?"
        return self.connection.execute(sql, (id, user)).fetchone() is not None

    def get(self, id: str, user: str) -> Any:
        row = self.connection.execute(
            f"{COLUMNS} WHERE id = ? AND user_id = ?", (id, user)
        ).fetchone()
        return None if row is None else load(row)

    def newest(self, user: str, limit: int) -> list[Any]:
        sql = f"{COLUMNS} WHERE user_id = ? ORDER BY seq DESC LIMIT ?"
        return [load(row) for row in self.connection.execute(sql, (user, limit)).fetchall()]

    def page(self, user: str | None) -> int:
        found, last = 0, 2**62
        mine = "" if user is None else "user_id = :user AND"
        sql = f"{COLUMNS} WHERE {mine} seq < :last ORDER BY seq DESC LIMIT {PAGE}"
        values = {"user": user}
        while rows := self.connection.execute(sql, {**values, "last": last}).fetchall():
            found += len([load(row) for row in rows])
            last = rows[-1][0]
        return found

    def delete(self, id: str, user: str) -> bool:
        with self.turn:
            sql = "DELETE FROM memory WHERE id = ? AND user_id = ?"
            gone = self.connection.execute(sql, (id, user))
        return bool(gone.rowcount)

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


def dump(id: str, user: str, memory: dict[str, Any]) -> tuple[str, ...]:
    now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(" ")
    return id, user, json.dumps(memory), now, now


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


SIDES = [Limit, in_threads(Limit)]
