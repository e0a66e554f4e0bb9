"""Servers for the pages that need one: a page's own address is mapped to that of the server."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.firestore_server.process import FirestoreServer
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import DURABLE, RedisServer, valkey


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL server that has the database ``app``."""
    server = PostgresServer()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE app")
    yield server.url(database="app")
    server.stop()


@pytest.fixture(scope="session")
def mongo() -> Iterator[str]:
    """The address of a server that speaks MongoDB's protocol."""
    server = MongoServer()
    yield f"mongodb://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The address of a Valkey server."""
    server = RedisServer(valkey(), *DURABLE)
    yield f"redis://127.0.0.1:{server.port}"
    server.stop()


@pytest.fixture(scope="session")
def firestore() -> Iterator[str]:
    """The address for FIRESTORE_EMULATOR_HOST."""
    with FirestoreServer() as server:
        yield server.address
