"""Failures: each becomes the right error, within the timeout, and nothing is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import google.auth
import grpc
import pytest
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InvalidMemoryError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
)
from buddy.memory.v2.db.firestore import AsyncFirestoreMemoryDb, FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_firestore.errors import PreconditionFailed, translate
from tests.firestore_server.process import FirestoreServer

ROW = MemoryRow({"text": "likes tea"}, "a", "ann")
TIMEOUT = 0.3


@pytest.fixture
def db(server: FirestoreServer, collection: str) -> Iterator[FirestoreMemoryDb]:
    """A database that has written before, with a short timeout."""
    with FirestoreMemoryDb(collection, timeout=TIMEOUT) as db:
        db.upsert_memory(MemoryRow({}, "first", "ann"))
        server.reset()
        yield db


def every_class(base: type) -> set[type]:
    return {base}.union(*(every_class(sub) for sub in base.__subclasses__()))


@pytest.mark.parametrize(
    "kind",
    sorted(
        every_class(api.GoogleAPICallError) | every_class(auth.GoogleAuthError),
        key=lambda kind: (kind.__module__, kind.__name__),
    ),
    ids=lambda kind: kind.__name__,
)
def test_the_table_of_errors_is_complete(kind: type[Exception]) -> None:
    """Every error of Google's libraries means one of ours."""
    meaning = translate(kind("some text"))
    assert isinstance(meaning, (MemoryDbError, PreconditionFailed))
    assert "some text" in str(meaning)


def test_an_error_of_ours_or_of_python_is_not_translated() -> None:
    """What does not come from Google's libraries goes through unchanged."""
    assert translate(ValueError("x")) is None


@pytest.mark.parametrize(
    ("code", "text", "kind", "remedy"),
    [
        (
            "PERMISSION_DENIED",
            "Missing or insufficient permissions.",
            AccessError,
            "datastore.user",
        ),
        (
            "PERMISSION_DENIED",
            "Cloud Firestore API has not been used in project x before or it is disabled.",
            AccessError,
            "gcloud services enable firestore.googleapis.com",
        ),
        ("UNAUTHENTICATED", "Request had invalid credentials.", AccessError, "gcloud auth"),
        (
            "UNAVAILABLE",
            "Getting metadata from plugin failed with error: ('invalid_grant: revoked')",
            AccessError,
            "gcloud auth",
        ),
        ("RESOURCE_EXHAUSTED", "Quota exceeded.", UnavailableError, "quotas"),
        ("FAILED_PRECONDITION", "The query requires an index.", SchemaError, "clear-exemption"),
        (
            "FAILED_PRECONDITION",
            "The Cloud Firestore API is not available for Firestore in Datastore Mode database x.",
            SchemaError,
            "db_name",
        ),
        ("INVALID_ARGUMENT", "odd", InvalidMemoryError, "odd"),
        ("INTERNAL", "broken", UnavailableError, "broken"),
        ("ABORTED", "contention", UnavailableError, "contention"),
    ],
)
def test_a_refusal_is_the_right_error_with_its_remedy(
    db: FirestoreMemoryDb,
    server: FirestoreServer,
    code: str,
    text: str,
    kind: type[MemoryDbError],
    remedy: str,
) -> None:
    """Each refusal of the service becomes the error that says what to do, with its cause."""
    server.fault(times=-1, code=code, text=text)
    for call in (lambda: db.upsert_memory(ROW), db.read_memories, db.ping, db.clear):
        with pytest.raises(kind) as caught:
            call()
        assert remedy in str(caught.value)
        assert isinstance(caught.value.__cause__, api.GoogleAPICallError)
    with pytest.raises(kind) as caught:
        db.upsert_memories([ROW])
    assert caught.value.stored == ()


def test_an_exhausted_quota_is_told_at_once(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A quota does not come back within a call, so nothing is repeated."""
    server.fault(times=-1, code="RESOURCE_EXHAUSTED", text="Quota exceeded.")
    with pytest.raises(UnavailableError, match="quota"):
        db.read_memories("ann")
    assert server.requests == {"RunQuery": 1}


def test_an_unknown_database_is_named_with_the_command_that_makes_it(
    server: FirestoreServer,
) -> None:
    """A database that does not exist is a SchemaError with the command."""
    with FirestoreMemoryDb(db_name="nowhere") as db:
        with pytest.raises(SchemaError, match=r"gcloud firestore databases create .*nowhere"):
            db.read_memories()


def test_no_answer_ends_at_the_timeout(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A service that does not answer is UnavailableError when the timeout is over."""
    server.fault(times=2, delay=3 * TIMEOUT)
    with pytest.raises(UnavailableError, match="Deadline"):
        db.read_memories()


def test_no_credentials_is_an_access_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without credentials the first call says how to get some; the constructor says nothing."""
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with FirestoreMemoryDb(project_id="p") as db:
        with pytest.raises(AccessError, match="gcloud auth application-default login"):
            db.read_memories()

    async def read() -> None:
        async with AsyncFirestoreMemoryDb(project_id="p") as adb:
            with pytest.raises(AccessError, match="gcloud auth application-default login"):
                await adb.read_memories()

    asyncio.run(read())


def test_no_project_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project that is named nowhere is a ConfigError that says where to name it."""
    for name in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(google.auth, "default", lambda scopes: (object(), None))
    with FirestoreMemoryDb() as db:
        with pytest.raises(ConfigError, match="GOOGLE_CLOUD_PROJECT"):
            db.read_memories()


# --- repeated requests


@pytest.mark.parametrize("code", ["UNAVAILABLE", "ABORTED", "INTERNAL", "RESOURCE_EXHAUSTED"])
def test_a_passing_failure_is_not_seen(
    db: FirestoreMemoryDb, server: FirestoreServer, code: str
) -> None:
    """A request that fails for a moment is repeated: reads, writes and batches."""
    for call in (
        lambda: db.upsert_memory(ROW),
        lambda: db.upsert_memories([ROW]),
        db.read_memories,
        db.count_memories,
        lambda: db.delete_memory("a", user_id="ann"),
    ):
        server.fault(times=1, code=code, text="a moment please")
        call()
    assert [row.id for row in db.read_memories()] == ["first"]


def test_a_write_whose_answer_got_lost_is_done_once(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """When the answer to a write gets lost, the repeated write is recognized as done."""
    server.fault(method="Commit", after=True, code="UNAVAILABLE")
    assert db.upsert_memory(ROW, if_version=0).version == 1
    server.fault(method="Commit", after=True, code="UNAVAILABLE")
    assert db.upsert_memory(ROW, if_version=1).version == 2
    server.fault(method="BatchWrite", after=True, code="UNAVAILABLE")
    rows = db.upsert_memories([MemoryRow({}, "b", "ann"), MemoryRow({}, "c", "ann")])
    assert [row.version for row in rows] == [1, 1]
    assert [row.version for row in db.read_memories(sort="asc")] == [1, 2, 1, 1]


def test_another_clients_write_is_not_taken_for_ours(
    db: FirestoreMemoryDb, server: FirestoreServer, collection: str
) -> None:
    """A write that failed, and that another one overtook, is a conflict."""
    db.upsert_memory(ROW)
    with FirestoreMemoryDb(collection) as other:
        assert other.read_memory("a", user_id="ann") is not None
        db.upsert_memory(MemoryRow({"by": "the other"}, "a", "ann"))
        server.fault(method="Commit", code="UNAVAILABLE")
        with pytest.raises(ConflictError):
            other.upsert_memory(ROW, if_version=1)
    row = db.read_memory("a")
    assert row is not None
    assert row.memory == {"by": "the other"}


def test_a_bulk_write_that_fails_says_what_is_stored(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """The rows of the batches that were acknowledged are stored, and named by the error."""
    server.fault(method="BatchWrite", skip=1, times=-1, code="PERMISSION_DENIED", text="no")
    with pytest.raises(AccessError) as caught:
        db.upsert_memories(MemoryRow({}, str(n), "ann") for n in range(700))
    assert caught.value.stored == tuple(("ann", str(n)) for n in range(500))
    server.clear_faults()
    assert db.count_memories() == 501


def test_endless_contention_ends_at_the_timeout(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """A row that others keep writing is UnavailableError when the timeout is over, which may be
    in the middle of the last attempt."""
    server.fault(
        method="Commit",
        times=-1,
        code="FAILED_PRECONDITION",
        text="the stored version (1) does not match the required base version (0)",
    )
    over = "others keep writing|Deadline Exceeded"
    with pytest.raises(UnavailableError, match=over):
        db.upsert_memory(ROW)
    with pytest.raises(UnavailableError, match=over):
        db.delete_memory("first", user_id="ann", if_version=1)


def test_the_next_call_works_after_a_restart(
    monkeypatch: pytest.MonkeyPatch, collection: str
) -> None:
    """A server that went away is UnavailableError; when it is back, the same object works."""
    first = FirestoreServer()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", first.address)
    with FirestoreMemoryDb(collection, project_id="p", timeout=TIMEOUT) as db:
        db.upsert_memory(ROW)
        first.stop()
        with pytest.raises(UnavailableError):
            db.read_memories()
        with FirestoreServer(port=first.port):
            db._rules.store.connection.timeout = 10  # The channel waits before it dials again.
            assert db.read_memories() == []
            assert db.upsert_memory(ROW).version == 1


def test_an_error_of_the_transport_is_unavailable() -> None:
    """An error that the library did not wrap is UnavailableError too."""
    assert isinstance(translate(grpc.RpcError("x")), UnavailableError)
