"""An empty store on each backend in turn, on servers that are started once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.registry import open_async_memory_db, open_memory_db
from tests.firestore_server.process import FirestoreServer
from tests.model_based.database_apis import DatabaseApis
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import DURABLE, RedisCluster, RedisServer, valkey

SERVERS: dict[str, Callable[[], Any]] = {
    "memory": lambda: None,
    "sqlite": lambda: None,
    "postgres": PostgresServer,
    "mongo": MongoServer,
    "redis": lambda: RedisServer(valkey(), *DURABLE),
    "redis cluster": lambda: RedisCluster(valkey()),
    "firestore": FirestoreServer,
}
_numbers = count()


@pytest.fixture(scope="session", params=SERVERS)
def backend(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """The name of a backend, and its server."""
    server = SERVERS[request.param]()
    yield request.param, server
    if server is not None:
        server.stop()


@pytest.fixture
def database(
    backend: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseApis]:
    """An empty store."""
    name, server = backend
    number = f"{os.getpid()}x{next(_numbers)}"
    if name == "firestore":
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
    url = {
        "memory": lambda: f"memory://model-{number}",
        "sqlite": lambda: f"sqlite:///{tmp_path}/memory.db",
        "postgres": lambda: f"{server.url()}?table_name=t&schema=s{number}",
        "mongo": lambda: f"{server.url}&collection_name=c{number}",
        "redis": lambda: f"{server.url}?prefix=p{number}",
        "redis cluster": lambda: f"{server.url}/?prefix=p{number}",
        "firestore": lambda: f"firestore://test-project?collection_name=c{number}",
    }[name]()
    openers: dict[str, Any] = {
        "v2": lambda: open_memory_db(url),
        "async": lambda: open_async_memory_db(url),
    }
    if name in ("memory", "sqlite", "postgres", "mongo"):
        openers["v1"] = lambda: open_memory_db(url, version=1)
    # In a cluster the order over users is that of the clocks of its servers.
    apis = DatabaseApis(openers, across_users=name != "redis cluster")
    yield apis
    apis.close()
