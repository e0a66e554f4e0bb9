"""Every backend by name: its server, and the URL of an empty store there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from tests.firestore_server.process import FirestoreServer
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import DURABLE, RedisCluster, RedisServer, valkey

GOOGLE = "BUDDY_TEST_FIRESTORE_EMULATOR"
"""Names the address of an emulator that runs already, for the tests that any emulator passes."""


class _Emulator(NamedTuple):
    address: str

    def stop(self) -> None:
        """Leave it running: others started it."""


def _firestore() -> Any:
    address = os.environ.get(GOOGLE)
    return FirestoreServer() if address is None else _Emulator(address)


_SERVERS: dict[str, Callable[[], Any]] = {
    "memory": lambda: None,
    "sqlite": lambda: None,
    "postgres": PostgresServer,
    "mongo": MongoServer,
    "redis": lambda: RedisServer(valkey(), *DURABLE),
    "redis cluster": lambda: RedisCluster(valkey()),
    "firestore": _firestore,
}
NAMES = tuple(_SERVERS)
DISTRIBUTED = ("sqlite", "postgres", "mongo", "redis", "firestore")
"""The backends that are distributions of their own, each on one server."""
_numbers = count()


class Backend(NamedTuple):
    """A backend, and its server where it has one."""

    name: str
    server: Any

    @property
    def environment(self) -> dict[str, str]:
        """The variables that a process needs to find the server."""
        if self.name == "firestore":
            return {"FIRESTORE_EMULATOR_HOST": self.server.address}
        return {}

    def url(self, folder: Path, name: str | None = None) -> str:
        """Return the URL of the store ``name``, by default of one that nobody has used."""
        name = f"{os.getpid()}x{next(_numbers)}" if name is None else name
        return {
            "memory": lambda: f"memory://model-{name}",
            "sqlite": lambda: f"sqlite:///{folder}/memory-{name}.db",
            "postgres": lambda: f"{self.server.url()}?table_name=t&schema=s{name}",
            "mongo": lambda: f"{self.server.url}&collection_name=c{name}",
            "redis": lambda: f"{self.server.url}?prefix=p{name}",
            "redis cluster": lambda: f"{self.server.url}/?prefix=p{name}",
            "firestore": lambda: f"firestore://test-project?collection_name=c{name}",
        }[self.name]()


@contextmanager
def started(name: str) -> Iterator[Backend]:
    """Start the server of a backend, and stop it in the end."""
    server = _SERVERS[name]()
    try:
        yield Backend(name, server)
    finally:
        if server is not None:
            server.stop()
