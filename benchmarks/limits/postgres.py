"""The limit for PostgreSQL: psycopg 3 by hand, prepared statements, COPY for many rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timezone
from queue import LifoQueue
from typing import Any

import psycopg

from benchmarks.sides import PAGE, Row

CONNECTIONS = 10
TABLE = """
CREATE TABLE IF NOT EXISTS memory (seq bigint GENERATED ALWAYS AS IDENTITY, id text,
user_id text COLLATE "C", memory jsonb NOT NULL, created_at timestamptz NOT NULL,
updated_at timestamptz NOT NULL, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (id, user_id));
CREATE INDEX IF NOT EXISTS by_order ON memory (seq);
CREATE UNIQUE INDEX IF NOT EXISTS by_user ON memory (user_id, seq)
"""
GIVEN = "id, user_id, memory, created_at, updated_at"
OR_UPDATE = """
ON CONFLICT (id, user_id) DO UPDATE SET memory = excluded.memory,
updated_at = excluded.updated_at, version = memory.version + 1
RETURNING seq, created_at, updated_at, version
"""
UPSERT = f"INSERT INTO memory ({GIVEN}) VALUES (%s, %s, %s, %s, %s) {OR_UPDATE}"
STAGE = """
CREATE TEMP TABLE given (n int GENERATED ALWAYS AS IDENTITY, id text, user_id text, memory jsonb,
created_at timestamptz, updated_at timestamptz) ON COMMIT DROP
"""
COPY = f"COPY given ({GIVEN}) FROM STDIN"
UNSTAGE = f"INSERT INTO memory ({GIVEN}) SELECT {GIVEN} FROM given ORDER BY n {OR_UPDATE}"
COLUMNS = "SELECT seq, id, user_id, memory, created_at, updated_at, version FROM memory"
EXISTS = "SELECT 1 FROM memory WHERE id = %s AND user_id = %s"
GET = f"{COLUMNS} WHERE id = %s AND user_id = %s"
NEWEST = f"{COLUMNS} WHERE user_id = %s ORDER BY seq DESC LIMIT %s"
NEXT = f"{COLUMNS} WHERE user_id = %s AND seq < %s ORDER BY seq DESC LIMIT {PAGE}"
NEXT_OF_ALL = f"{COLUMNS} WHERE seq < %s ORDER BY seq DESC LIMIT {PAGE}"
DELETE = "DELETE FROM memory WHERE id = %s AND user_id = %s"


class Limit:
    """A stack of connections, each statement a transaction of its own."""

    name = "by hand"
    store = "limit"
    asynchronous = False

    def __init__(self, where: str, name: str) -> None:
        self.url = where

    def open(self) -> None:
        self.free: LifoQueue[psycopg.Connection | None] = LifoQueue()
        for _ in range(CONNECTIONS):
            self.free.put(None)

    def create(self) -> Any:
        return self.run(TABLE)

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection]:
        connection = self.free.get() or psycopg.connect(self.url, autocommit=True)
        try:
            yield connection
        finally:
            self.free.put(connection)

    def run(self, sql: str, *values: Any) -> psycopg.Cursor[Any]:
        with self.connection() as connection:
            return connection.execute(sql, values or None)

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.run(UPSERT, *dump(id, user, memory)).fetchone()

    def put_many(self, rows: list[Row]) -> list[Any]:
        with self.connection() as connection, connection.transaction():
            cursor = connection.execute(STAGE)
            with cursor.copy(COPY) as copy:
                for row in rows:
                    copy.write_row(dump(*row))
            return cursor.execute(UNSTAGE).fetchall()

    def exists(self, id: str, user: str) -> bool:
        return self.run(EXISTS, id, user).fetchone() is not None

    def get(self, id: str, user: str) -> Any:
        return load(self.run(GET, id, user).fetchone())

    def newest(self, user: str, limit: int) -> list[Any]:
        return [load(row) for row in self.run(NEWEST, user, limit).fetchall()]

    def page(self, user: str | None) -> int:
        found, last = 0, 2**62
        while rows := self.run(*next_page(user, last)).fetchall():
            found += len([load(row) for row in rows])
            last = rows[-1][0]
        return found

    def delete(self, id: str, user: str) -> bool:
        return bool(self.run(DELETE, id, user).rowcount)

    def close(self) -> None:
        while not self.free.empty():
            if connection := self.free.get():
                connection.close()


class LimitAsync(Limit):
    """The same statements on AsyncConnections."""

    name = "by hand, async"
    asynchronous = True

    async def open(self) -> None:
        self.idle: asyncio.LifoQueue[psycopg.AsyncConnection | None] = asyncio.LifoQueue()
        for _ in range(CONNECTIONS):
            self.idle.put_nowait(None)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[psycopg.AsyncConnection]:
        connection = await self.idle.get()
        if connection is None:
            connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
        try:
            yield connection
        finally:
            self.idle.put_nowait(connection)

    async def run(self, sql: str, *values: Any) -> psycopg.AsyncCursor[Any]:  # type: ignore[override]
        async with self.taken() as connection:
            return await connection.execute(sql, values or None)

    async def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        cursor = await self.run(UPSERT, *dump(id, user, memory))
        return await cursor.fetchone()

    async def put_many(self, rows: list[Row]) -> list[Any]:
        async with self.taken() as connection, connection.transaction():
            cursor = await connection.execute(STAGE)
            async with cursor.copy(COPY) as copy:
                for row in rows:
                    await copy.write_row(dump(*row))
            return await (await cursor.execute(UNSTAGE)).fetchall()

    async def exists(self, id: str, user: str) -> bool:  # type: ignore[override]
        return await (await self.run(EXISTS, id, user)).fetchone() is not None

    async def get(self, id: str, user: str) -> Any:
        return load(await (await self.run(GET, id, user)).fetchone())

    async def newest(self, user: str, limit: int) -> list[Any]:  # type: ignore[override]
        return [load(row) for row in await (await self.run(NEWEST, user, limit)).fetchall()]

    async def page(self, user: str | None) -> int:  # type: ignore[override]
        found, last = 0, 2**62
        while rows := await (await self.run(*next_page(user, last))).fetchall():
            found += len([load(row) for row in rows])
            last = rows[-1][0]
        return found

    async def delete(self, id: str, user: str) -> bool:  # type: ignore[override]
        return bool((await self.run(DELETE, id, user)).rowcount)

    async def close(self) -> None:  # type: ignore[override]
        while not self.idle.empty():
            if connection := self.idle.get_nowait():
                await connection.close()


def next_page(user: str | None, last: int) -> tuple[Any, ...]:
    return (NEXT_OF_ALL, last) if user is None else (NEXT, user, last)


def dump(id: str, user: str, memory: dict[str, Any]) -> tuple[Any, ...]:
    now = datetime.now(timezone.utc)
    return id, user, json.dumps(memory), now, now


def load(row: Any) -> dict[str, Any] | None:
    names = ("seq", "id", "user", "memory", "created", "updated", "version")
    return None if row is None else dict(zip(names, row, strict=True))


SIDES = [Limit, LimitAsync]
