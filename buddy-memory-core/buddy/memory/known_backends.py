"""The backends of this project by name: for install hints, and where metadata is missing.

Frozen applications and some zip deployments ship no distribution metadata; this table makes the
first-party backends work there all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class FirstParty(NamedTuple):
    """A backend of this project; ``classes`` maps v1, v2 and async to ``module:Class``."""

    distribution: str
    classes: Mapping[str, str]


def _entry(name: str, cls: str, v1: str | None = None) -> FirstParty:
    package = f"buddy_memory_{name}"
    classes = {"v2": f"{package}.v2:{cls}", "async": f"{package}.v2:Async{cls}"}
    if v1:
        classes["v1"] = f"{package}.v1:{v1}"
    return FirstParty(f"buddy-memory-{name}", classes)


_MEMORY = FirstParty(
    "buddy-memory-core",
    {
        "v1": "buddy.memory.db.inmemory:InMemoryDb",
        "v2": "buddy.memory.v2.db.inmemory:InMemoryDb",
        "async": "buddy.memory.v2.db.inmemory:AsyncInMemoryDb",
    },
)
_SQLITE = _entry("sqlite", "SqliteMemoryDb", "SqliteMemoryDb")
_POSTGRES = _entry("postgres", "PostgresMemoryDb", "PgMemoryDb")
_MONGO = _entry("mongo", "MongoMemoryDb", "MongoMemoryDb")
_REDIS = _entry("redis", "RedisMemoryDb")
_FIRESTORE = _entry("firestore", "FirestoreMemoryDb")

FIRST_PARTY: Mapping[str, FirstParty] = {
    "memory": _MEMORY,
    "sqlite": _SQLITE,
    "postgres": _POSTGRES,
    "postgresql": _POSTGRES,
    "mongodb": _MONGO,
    "mongodb+srv": _MONGO,
    "mongo": _MONGO,
    "redis": _REDIS,
    "rediss": _REDIS,
    "unix": _REDIS,
    "valkey": _REDIS,
    "valkeys": _REDIS,
    "firestore": _FIRESTORE,
}
