"""The in-memory Store keeps every rule: v1, v2 and both ways of being asynchronous."""

from __future__ import annotations

import pytest

from buddy.memory.db.stored import StoredMemoryDb as StoredMemoryDbV1
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.testing import Subject
from buddy.memory.testing.pytest_face import Conformance
from buddy.memory.v2.db.stored import AsyncStoredMemoryDb, StoredMemoryDb
from buddy.memory.v2.db.threaded import ThreadedMemoryDb


def _threaded(store: InMemoryStore) -> ThreadedMemoryDb:
    return ThreadedMemoryDb(StoredMemoryDb(store))


class TestInMemoryStore(Conformance):
    complete = True
    lacks = frozenset(
        {"expiring", "unreachable", "corrupt", "named", "neighbour", "forks", "waits"}
    )

    @pytest.fixture(params=[StoredMemoryDbV1, StoredMemoryDb, AsyncStoredMemoryDb, _threaded])
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        store, cls = InMemoryStore(), request.param
        return Subject(open=lambda: cls(store), waits=False)
