"""For each backend: an open database, and a counter of the work that it makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import bson
from pymongo import MongoClient, monitoring
from sqlalchemy import event
from sqlalchemy.pool import Pool

from buddy.memory import open_memory_db
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.mongodb import MongoMemoryDb
from tests.cost_budgets.relay import Relay, Work
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import DURABLE, RedisServer, valkey


class Counter(Protocol):
    """Counts from ``reset`` on."""

    def reset(self) -> None: ...
    def work(self) -> Work: ...


Opened = Iterator[tuple[MemoryDb, Counter]]


# --- SQLite: every statement that the library runs, and the bytes that go to its files


class Statements:
    """Counts by SQLite's own trace of statements, and by Linux's account of this thread."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.reset()

    def trace(self, connection: Any, _: Any) -> None:
        connection.set_trace_callback(self.seen.append)

    def reset(self) -> None:
        self.seen.clear()
        self._written = _written()

    def work(self) -> Work:
        return Work(len(self.seen), 0, _written() - self._written)


def _written() -> int:
    """Return the bytes that this thread wrote so far; 0 where nobody counts them."""
    account = Path("/proc/thread-self/io")
    found = re.search(r"wchar: (\d+)", account.read_text()) if account.exists() else None
    return int(found[1]) if found else 0


@contextmanager
def sqlite(folder: Path) -> Opened:
    counter = Statements()
    event.listen(Pool, "connect", counter.trace)
    try:
        with open_memory_db(f"sqlite:///{folder}/memory.db") as db:
            yield db, counter
    finally:
        event.remove(Pool, "connect", counter.trace)


# --- PostgreSQL and Redis: what passes a relay


def executions(data: bytes) -> int:
    """Count the messages Execute and Query of PostgreSQL's protocol, after the start-up."""
    found = 0
    while data:
        found += data[:1] in (b"E", b"Q")
        data = data[1 + int.from_bytes(data[1:5], "big") :]
    return found


def commands(data: bytes) -> int:
    """Count the commands of Redis's protocol."""
    return len(re.findall(rb"\*\d+\r\n\$", data))


@contextmanager
def relayed(port: int, statements: Callable[[bytes], int], url: str) -> Opened:
    relay = Relay(port, statements)
    try:
        with open_memory_db(url.format(port=relay.port)) as db:
            yield db, relay
    finally:
        relay.stop()


@contextmanager
def postgres(folder: Path) -> Opened:
    server = PostgresServer()
    try:
        url = server.url(port="{port}") + "?sslmode=disable&gssencmode=disable&table_name=memory"
        with relayed(server.port, executions, url) as opened:
            yield opened
    finally:
        server.stop()


@contextmanager
def redis(folder: Path) -> Opened:
    server = RedisServer(valkey(), *DURABLE)
    try:
        with relayed(server.port, commands, "redis://127.0.0.1:{port}/0") as opened:
            yield opened
    finally:
        server.stop()


# --- MongoDB: the driver's own record of its commands, each of which is a round trip


class Commands(monitoring.CommandListener):
    """Counts commands, and the bytes of their documents."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.number = self.sent = self.received = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.number += 1
        self.sent += len(bson.encode(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self.received += len(bson.encode(event.reply))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self.received += len(bson.encode(event.failure))

    def work(self) -> Work:
        return Work(self.number, self.number, self.sent, self.received)


@contextmanager
def mongo(folder: Path) -> Opened:
    server, counter = MongoServer(), Commands()
    try:
        with MongoClient[Any](server.url, event_listeners=[counter]) as client:
            with MongoMemoryDb("memory", client=client) as db:
                yield db, counter
    finally:
        server.stop()


COUNTED = {"sqlite": sqlite, "postgres": postgres, "redis": redis, "mongo": mongo}
