"""MongoDB keeps every rule: v1, v2 and async, by URL and on the caller's client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from buddy.memory.db.mongodb import MongoMemoryDb as MongoMemoryDbV1
from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.mongodb import AsyncMongoMemoryDb, MongoMemoryDb
from tests.client_checks import ClientConformance

SECRET = "hunter2-is-secret"  # noqa: S105
# Not waited for: the driver would wait half a second at each of many calls.
NOBODY_LISTENS = f"mongodb://ann:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS=0"


def damage(database: Database) -> Callable[[str], None]:
    def corrupt(id: str) -> None:
        database["notes"].update_one({"id": id}, {"$set": {"memory": ["no object"]}})

    return corrupt


class OnServer(Conformance):
    complete = True
    lacks = frozenset({"order_without_clocks"})
    cls: Any

    @pytest.fixture
    def subject(self, url: str, database: Database) -> BackendUnderTest:
        cls = self.cls
        return BackendUnderTest(
            open=lambda: cls("notes", url, timeout=60),  # The server takes a millisecond for a row.
            neighbour=lambda: cls("notes2", url),
            named=lambda name: cls(name, url),
            expiring=lambda: cls("notes", url, expire=3600),
            unreachable=lambda: cls("notes", NOBODY_LISTENS),
            secret=SECRET,
            corrupt=damage(database),
            order_across_users=True,
            forks=True,
        )


class TestV1(ClientConformance, OnServer):
    """What version 1 does otherwise is core's; the server is slow."""

    cls = MongoMemoryDbV1


class TestV2(OnServer):
    cls = MongoMemoryDb


class TestAsync(OnServer):
    cls = AsyncMongoMemoryDb
    test_rule_on_many_rows = None


class TestCallersClient(ClientConformance):
    complete = True
    lacks = frozenset(
        {
            "unreachable",
            "corrupt",
            "named",
            "neighbour",
            "forks",
            "order_without_clocks",
        }
    )

    @pytest.fixture
    def subject(self, server_url: str, database: Database) -> Iterator[BackendUnderTest]:
        with MongoClient(server_url, tz_aware=True) as client:
            yield BackendUnderTest(
                open=lambda: MongoMemoryDb("notes", db_name=database.name, client=client),
                expiring=lambda: MongoMemoryDb(
                    "notes", db_name=database.name, client=client, expire=3600
                ),
                order_across_users=True,
            )
