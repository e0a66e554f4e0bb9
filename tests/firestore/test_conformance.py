"""Firestore keeps every rule: sync, async, in a named database, on the caller's client."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import firestore

from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy.memory.v2.db.firestore import AsyncFirestoreMemoryDb, FirestoreMemoryDb
from tests.client_checks import ClientConformance


def subject_of(cls: Any, name: str, database: str = "(default)") -> BackendUnderTest:
    def corrupt(id: str) -> None:
        client = firestore.Client(database=database)
        client.collection(name).document(f"ann:{id}").update({"memory": {"torn": b"bytes"}})
        client._firestore_api.transport.close()

    def unreachable() -> Any:
        # Nothing listens on port 1; the client looks there when it is made.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
            kind = firestore.AsyncClient if cls is AsyncFirestoreMemoryDb else firestore.Client
            client = kind(project="test-project")
        return cls("notes", client=client, timeout=0.05)

    return BackendUnderTest(
        open=lambda: cls(name, db_name=database),
        neighbour=lambda: cls(f"{name}2", db_name=database),
        named=lambda other: cls(other, db_name=database),
        expiring=lambda: cls(name, db_name=database, expire=3600),
        unreachable=unreachable,
        corrupt=corrupt,
        forks=True,
        order_across_users=True,
    )


class OnServer(Conformance):
    complete = True
    # Credentials are never arguments here.
    lacks = frozenset({"secret", "order_without_clocks"})


class TestSync(OnServer):
    @pytest.fixture
    def subject(self, emulator: str, collection: str) -> BackendUnderTest:
        return subject_of(FirestoreMemoryDb, collection)


class TestAsync(OnServer):
    test_rule_on_many_rows = None

    @pytest.fixture
    def subject(self, emulator: str, collection: str) -> BackendUnderTest:
        return subject_of(AsyncFirestoreMemoryDb, collection)


class TestNamedDatabase(ClientConformance, OnServer):
    @pytest.fixture
    def subject(self, emulator: str, collection: str) -> BackendUnderTest:
        return subject_of(FirestoreMemoryDb, collection, "second")


class TestCallersClient(ClientConformance):
    complete = True
    lacks = frozenset(
        {
            "unreachable",
            "corrupt",
            "named",
            "neighbour",
            "secret",
            "order_without_clocks",
        }
    )

    @pytest.fixture
    def subject(self, emulator: str, collection: str) -> Any:
        client = firestore.Client()
        yield BackendUnderTest(
            open=lambda: FirestoreMemoryDb(collection, client=client),
            expiring=lambda: FirestoreMemoryDb(collection, client=client, expire=3600),
            forks=True,
            order_across_users=True,
        )
        client._firestore_api.transport.close()
