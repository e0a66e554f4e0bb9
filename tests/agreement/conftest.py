"""A place on each backend in turn, on servers that are started once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.registry import open_async_memory_db, open_memory_db
from tests.agreement.faces import Faces
from tests.firestore_server.process import FirestoreServer
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import DURABLE, RedisCluster, RedisServer, valkey

SERVERS: dict[str, Callable[[], Any]] = {
    "sqlite": lambda: None,
    "postgres": PostgresServer,
    "mongo": MongoServer,
    "mongo sharded": MongoServer,
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
def place(
    backend: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Faces]:
    """An empty place."""
    name, server = backend
    number = f"{os.getpid()}x{next(_numbers)}"
    if name == "firestore":
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
    url = {
        "sqlite": lambda: f"sqlite:///{tmp_path}/memory.db",
        "postgres": lambda: f"{server.url()}?table_name=t&schema=s{number}",
        "mongo": lambda: f"{server.url}&collection_name=c{number}",
        "mongo sharded": lambda: f"{server.url}&collection_name=c{number}&sharded=true",
        "redis": lambda: f"{server.url}?prefix=p{number}",
        "redis cluster": lambda: f"{server.url}/?prefix=p{number}",
        "firestore": lambda: f"firestore://test-project?collection_name=c{number}",
    }[name]()
    openers: dict[str, Any] = {
        "v2": lambda: open_memory_db(url),
        "async": lambda: open_async_memory_db(url),
    }
    if name.split()[0] in ("sqlite", "postgres", "mongo"):
        openers["v1"] = lambda: open_memory_db(url, version=1)
    faces = Faces(openers)
    yield faces
    faces.close()
