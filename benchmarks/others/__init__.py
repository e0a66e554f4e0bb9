"""Who is compared on each backend: the classes that people use today, opened for its servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def sqlite() -> list[type[Any]]:
    from langgraph.store.sqlite import SqliteStore
    from langgraph.store.sqlite.aio import AsyncSqliteStore

    from benchmarks.others import agno, langgraph

    return [
        *agno.sides(
            "agno.db.sqlite.SqliteDb",
            lambda where, name: {"db_file": f"{where}/{name}.db", "memory_table": "memories"},
            "agno.db.sqlite.AsyncSqliteDb",
        ),
        *langgraph.sides(
            lambda where, name: SqliteStore.from_conn_string(f"{where}/{name}.db"),
            lambda where, name: AsyncSqliteStore.from_conn_string(f"{where}/{name}.db"),
        ),
    ]


def postgres() -> list[type[Any]]:
    from langgraph.store.postgres import AsyncPostgresStore, PostgresStore

    from benchmarks.others import agno, langgraph

    pool: Any = {"pool_config": {"min_size": 1, "max_size": 10}}

    def arguments(where: str, name: str) -> dict[str, Any]:
        url = where.replace("postgresql://", "postgresql+psycopg://")
        return {"db_url": url, "memory_table": "memories", "db_schema": name}

    return [
        *agno.sides("agno.db.postgres.PostgresDb", arguments, "agno.db.postgres.AsyncPostgresDb"),
        *langgraph.sides(
            lambda where, name: PostgresStore.from_conn_string(where, **pool),
            lambda where, name: AsyncPostgresStore.from_conn_string(where, **pool),
        ),
    ]


def redis() -> list[type[Any]]:
    from benchmarks.others import agno

    return agno.sides(
        "agno.db.redis.RedisDb", lambda where, name: {"db_url": where, "db_prefix": name}
    )


def mongo() -> list[type[Any]]:
    from langgraph.store.mongodb import MongoDBStore
    from pymongo import MongoClient

    from benchmarks.others import agno, langgraph

    @contextmanager
    def store(where: str, name: str) -> Iterator[Any]:
        with MongoClient(where) as client:
            found = MongoDBStore(client["bench"][name])
            found.setup = lambda: None  # It made its indexes already.
            yield found

    def arguments(where: str, name: str) -> dict[str, str]:
        return {"db_url": where, "db_name": name, "memory_collection": "memories"}

    return [
        *agno.sides("agno.db.mongo.MongoDb", arguments, "agno.db.mongo.AsyncMongoDb"),
        *langgraph.sides(store),
    ]


def firestore() -> list[type[Any]]:
    from benchmarks.others import agno

    return agno.sides(
        "agno.db.firestore.FirestoreDb",
        lambda where, name: {"project_id": "bench", "memory_collection": name},
    )
