"""The servers of the tests, started for a benchmark: each yields its address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def postgres() -> Iterator[str]:
    from tests.servers.postgres import PostgresServer

    server = PostgresServer("fsync=on")
    try:
        yield server.url()
    finally:
        server.stop()


def postgres_version(where: str) -> str:
    import psycopg

    with psycopg.connect(where) as connection:
        return f"PostgreSQL {connection.info.server_version // 10000}"


@contextmanager
def valkey() -> Iterator[str]:
    from tests.servers.redis import RedisServer
    from tests.servers.redis import valkey as program

    server = RedisServer(program(), "--save", "")
    try:
        yield server.url
    finally:
        server.stop()


def valkey_version(where: str) -> str:
    import redis

    with redis.Redis.from_url(where) as client:
        info: Any = client.info("server")
        return f"Valkey {info['valkey_version']}"


@contextmanager
def mongo() -> Iterator[str]:
    from tests.servers.mongo import MongoServer

    server = MongoServer()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def firestore() -> Iterator[str]:
    from tests.firestore_server.process import FirestoreServer

    with FirestoreServer() as server:
        os.environ["FIRESTORE_EMULATOR_HOST"] = server.address
        yield server.address
