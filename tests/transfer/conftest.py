"""What tests of copies share with those of the command."""

from tests.cli.conftest import (
    db,
    firestore,
    firestore_server,
    mongo,
    mongo_server,
    other_url,
    postgres,
    postgres_server,
    process,
    redis,
    redis_server,
    run,
    tear,
    url,
)

__all__ = [
    "db",
    "firestore",
    "firestore_server",
    "mongo",
    "mongo_server",
    "other_url",
    "postgres",
    "postgres_server",
    "process",
    "redis",
    "redis_server",
    "run",
    "tear",
    "url",
]
