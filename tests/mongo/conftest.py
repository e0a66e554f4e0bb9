"""One server for the tests of a process, and a database of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from tests.servers.mongo import MongoServer


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of a server: that of BUDDY_TEST_MONGO_URL, or one that is started."""
    if given := os.environ.get("BUDDY_TEST_MONGO_URL"):
        yield given
        return
    server = MongoServer()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def client(server_url: str) -> Iterator[MongoClient]:
    """The tests' own client."""
    with MongoClient(server_url) as client:
        yield client


@pytest.fixture
def database(client: MongoClient) -> Iterator[Database]:
    """An empty database."""
    name = f"buddy_test_{uuid4().hex[:12]}"
    yield client[name]
    client.drop_database(name)


@pytest.fixture
def url(server_url: str, database: Database) -> str:
    """The URL of that database, which ends in a parameter."""
    address, _, query = server_url.partition("?")
    return f"{address.rstrip('/')}/{database.name}?{query or 'retryWrites=true'}"
