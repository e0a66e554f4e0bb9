"""One strict Firestore server for each test process, empty before each test."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.firestore_server.process import FirestoreServer

GIVEN = os.environ.get("FIRESTORE_EMULATOR_HOST")
_names = count()

# The independent server comes from npm, and only where it was installed.
collect_ignore = [] if "BUDDY_TEST_FIRESTORE_NPM" in os.environ else ["test_agreement.py"]


@pytest.fixture(scope="session")
def firestore_server() -> Iterator[FirestoreServer]:
    with FirestoreServer() as server:
        yield server


@pytest.fixture
def server(
    firestore_server: FirestoreServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FirestoreServer]:
    """The strict server, where the client library looks for it."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_server.address)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test-project")
    firestore_server.clear()
    yield firestore_server
    firestore_server.clear_faults()


@pytest.fixture
def emulator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the emulator that the environment names, otherwise of the strict server."""
    if GIVEN is None:
        server: FirestoreServer = request.getfixturevalue("server")
        return server.address
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "test-project")
    return GIVEN


@pytest.fixture
def collection() -> str:
    """The name of a collection that no other test has used."""
    return f"notes{os.getpid()}-{time.time_ns()}-{next(_names)}-"
