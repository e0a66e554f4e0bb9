"""The backends: how to start a server, who is compared on it, and at which sizes."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import Any

from benchmarks import others, servers
from benchmarks.sides import ours


@dataclass
class Backend:
    """``start`` gives the address of a running server, ``others`` adds what people use today.

    ``missing`` says why somebody is not compared, ``drivers`` what its user has to import anyway,
    ``bulk`` how many rows a bulk upsert has.
    """

    title: str
    start: Callable[[], AbstractContextManager[str]]
    server: Callable[[str], str]
    url: Callable[[str, str], str]
    others: Callable[[], list[type[Any]]]
    drivers: Sequence[str]
    sizes: Sequence[int] = (1_000, 100_000, 1_000_000)
    bulk: int = 10_000
    others_up_to: int = 100_000
    missing: dict[str, str] = field(default_factory=dict)
    packages: Sequence[str] = ()

    def own(self, name: str) -> list[type[Any]]:
        """Return ours and the limit."""
        return [*ours(self.url), *import_module(f"benchmarks.limits.{name}").SIDES]

    def sides(self, name: str) -> list[type[Any]]:
        """Return ours, the limit, and the others."""
        return [*self.own(name), *self.others()]

    def versions(self, where: str) -> dict[str, str]:
        """Return what was measured."""
        return {"server": self.server(where)} | {name: version(name) for name in self.packages}


def mongo_url(where: str, name: str) -> str:
    address, _, query = where.partition("/?")
    return f"{address}/bench?{query}&collection_name={name}"


BACKENDS = {
    "sqlite": Backend(
        "SQLite",
        tempfile.TemporaryDirectory,
        lambda where: f"SQLite {sqlite3.sqlite_version}",
        lambda where, name: f"sqlite:///{where}/{name}.db",
        others.sqlite,
        ("sqlite3", "sqlalchemy.dialects.sqlite.pysqlite"),
        packages=("SQLAlchemy", "agno", "langgraph-checkpoint-sqlite"),
    ),
    "postgres": Backend(
        "PostgreSQL",
        servers.postgres,
        servers.postgres_version,
        lambda where, name: f"{where}?table_name={name}&schema=bench",
        others.postgres,
        ("psycopg", "sqlalchemy.dialects.postgresql.psycopg"),
        packages=("psycopg", "SQLAlchemy", "agno", "langgraph-checkpoint-postgres"),
    ),
    "redis": Backend(
        "Redis",
        servers.valkey,
        servers.valkey_version,
        lambda where, name: f"{where}?prefix={name}",
        others.redis,
        ("redis",),
        others_up_to=1_000,
        missing={
            "langgraph": "its store for Redis needs the modules RediSearch and RedisJSON, which "
            "Valkey does not have",
            "agno, async": "it has no asynchronous class for Redis",
        },
        packages=("redis", "agno"),
    ),
    "mongo": Backend(
        "MongoDB",
        servers.mongo,
        lambda where: f"SecantusDB {version('SecantusDB')}",
        mongo_url,
        others.mongo,
        ("pymongo",),
        sizes=(1_000, 5_000),
        bulk=500,
        others_up_to=1_000,
        missing={"langgraph, async": "its asynchronous calls are the synchronous ones in a thread"},
        packages=("pymongo", "agno", "langgraph-store-mongodb"),
    ),
    "firestore": Backend(
        "Firestore",
        servers.firestore,
        lambda where: "the tests' own server",
        lambda where, name: f"firestore://bench?collection_name={name}",
        others.firestore,
        ("google.cloud.firestore",),
        sizes=(1_000, 5_000),
        bulk=1_000,
        others_up_to=1_000,
        missing={
            "langgraph": "it has no store for Firestore",
            "agno, async": "it has no asynchronous class for Firestore",
        },
        packages=("google-cloud-firestore", "agno"),
    ),
}
