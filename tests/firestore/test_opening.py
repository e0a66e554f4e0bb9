"""URLs, arguments, clients, loops."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import Any

import pytest
from google.cloud import firestore

from buddy.memory import open_async_memory_db, open_memory_db
from buddy.memory.errors import AccessError, ConfigError
from buddy.memory.v2.db.firestore import AsyncFirestoreMemoryDb, FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.firestore_server.process import FirestoreServer


@pytest.mark.parametrize(
    ("url", "project", "database", "collection"),
    [
        (
            "firestore://my-project/(default)?collection_name=notes",
            "my-project",
            "(default)",
            "notes",
        ),
        ("firestore://my-project/%28default%29", "my-project", "(default)", "memory"),
        ("firestore://my-project/second", "my-project", "second", "memory"),
        ("firestore://my-project", "my-project", "(default)", "memory"),
        ("firestore://my-project/", "my-project", "(default)", "memory"),
        ("firestore:///second", None, "second", "memory"),
        ("firestore://?collection_name=a%20b", None, "(default)", "a b"),
        ("firestore", None, "(default)", "memory"),
    ],
)
def test_a_url_names_project_database_and_collection(
    url: str, project: str | None, database: str, collection: str
) -> None:
    """Both names of the URL may be left out; the collection is an option."""
    for db in (open_memory_db(url), open_async_memory_db(url)):
        settings = db.to_dict()
        assert settings["project_id"] == project
        assert settings["db_name"] == database
        assert settings["collection_name"] == collection


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("firestore://p/d?colection_name=x", "collection_name"),
        ("firestore://p/d?nonsense=x", "nonsense"),
        ("firestore://p/d?project_id=q", "project_id"),
        ("firestore://p/d/e", "d/e"),
        ("firestore://ann:hunter2@p/d", "names no user: "),
        ("firestore://p/d?timeout=0", "timeout"),
        ("firestore://p/d?client=x", "client"),
        ("firestore://p/d?collection_name=a/b", "collection_name"),
        ("firestore://p/d?collection_name=", "collection_name"),
        ("firestore://p/d?collection_name=%20", "collection_name"),
        ("firestore://p?db_name=", "db_name"),
        ("firestore://p?db_name=%20", "db_name"),
        ("firestore://p/%20", "db_name"),
        ("firestore://%20/d", "project_id"),
    ],
)
def test_a_wrong_url_is_refused_at_once(url: str, words: str) -> None:
    """A mistake in a URL is a ConfigError that names it."""
    with pytest.raises(ConfigError, match=words):
        open_memory_db(url)


def test_a_client_of_the_other_kind_is_refused(server: FirestoreServer) -> None:
    """A Client is for the synchronous class, an AsyncClient for the other, and says so."""
    client = firestore.Client()
    with pytest.raises(ConfigError, match="must be a AsyncClient, not Client"):
        AsyncFirestoreMemoryDb(client=client)  # type: ignore[arg-type]
    for wrong in (firestore.AsyncClient(), "client"):
        with pytest.raises(ConfigError, match="must be a Client"):
            FirestoreMemoryDb(client=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="leave out"):
        FirestoreMemoryDb(client=client, db_name="second")


def test_a_given_client_is_used_and_stays_open(server: FirestoreServer, collection: str) -> None:
    """The caller's client decides project and database, and works after close()."""
    client = firestore.Client(project="theirs", database="second")
    with FirestoreMemoryDb(collection, client=client) as db:
        db.upsert_memory(MemoryRow({}, "a", "ann"))
    assert client.collection(collection).document("ann:a").get().exists
    client._firestore_api.transport.close()


def test_the_databases_of_a_project_are_apart(server: FirestoreServer, collection: str) -> None:
    """A named database holds its own rows."""
    with FirestoreMemoryDb(collection) as one, FirestoreMemoryDb(collection, "second") as two:
        one.upsert_memory(MemoryRow({}, "a", "ann"))
        assert two.read_memories() == []


def test_a_given_async_client_serves_several_loops(
    server: FirestoreServer, collection: str
) -> None:
    """A client is bound to the first loop that used it; others get one of the same settings."""
    client = firestore.AsyncClient(project="theirs", database="second")
    db = AsyncFirestoreMemoryDb(collection, client=client)

    async def write(n: int) -> int:
        await db.upsert_memory(MemoryRow({}, str(n), "ann"))
        return await db.count_memories("ann")

    assert [asyncio.run(write(n)) for n in range(3)] == [1, 2, 3]
    with FirestoreMemoryDb(collection, "second", project_id="theirs") as sync:
        assert sync.count_memories() == 3


FORK = """
import asyncio, gc, os, signal, sys
from buddy.memory.v2.db.firestore import AsyncFirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow

async def write():
    async with AsyncFirestoreMemoryDb(sys.argv[1]) as db:
        await db.upsert_memory(MemoryRow({}, "a"))

gc.disable()
for _ in range(3):
    asyncio.run(write())
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        gc.collect()
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""


def test_the_collector_of_a_forked_child(server: FirestoreServer, collection: str) -> None:
    """A child that is forked after asyncio was used may collect its parent's garbage."""
    command = [sys.executable, "-c", FORK, collection]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["0"] * 3


@pytest.mark.parametrize("user_id", ["ann", None], ids=["one request", "several at once"])
def test_a_call_that_was_interrupted(
    server: FirestoreServer, collection: str, user_id: str | None
) -> None:
    """After Ctrl-C the next call goes through another client: the old one may hold a lock."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memory(MemoryRow({}, "a"))
        clients = db._rules.store.connection._clients
        interrupted = clients.get()
        server.fault(method="RunQuery", delay=2)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            db.read_memories(user_id)
        signal.signal(signal.SIGALRM, before)
        assert db.count_memories() == 1
        assert clients.get() is not interrupted
    interrupted._firestore_api.transport.close()


def test_the_emulators_project_has_a_default(
    server: FirestoreServer, monkeypatch: pytest.MonkeyPatch, collection: str
) -> None:
    """At FIRESTORE_EMULATOR_HOST neither credentials nor a project are needed."""
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    with FirestoreMemoryDb(collection) as db:
        assert db.upsert_memory(MemoryRow({}, "a")).version == 1


def test_rows_written_after_others_were_read_sort_after_them(
    server: FirestoreServer, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is behind still writes after every row that it has read."""
    from datetime import datetime, timedelta, timezone

    from buddy.memory.storage import clock
    from buddy_memory_firestore import positions

    with FirestoreMemoryDb(collection) as behind:
        behind.upsert_memory(MemoryRow({}, "first", "ann"))
        # Another process has counters of its own.
        ours: Any = positions._counters.copy()
        positions._counters.clear()
        with FirestoreMemoryDb(collection) as ahead:
            future = datetime.now(timezone.utc) + timedelta(days=1)
            monkeypatch.setattr(clock, "utc_now", lambda: future)
            ahead.upsert_memory(MemoryRow({}, "second", "ann"))
        monkeypatch.undo()
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", server.address)
        positions._counters.update(ours)
        assert behind.read_memory("second", user_id="ann") is not None
        behind.upsert_memory(MemoryRow({}, "third", "ann"))
        assert [row.id for row in behind.read_memories(sort="asc")] == ["first", "second", "third"]


def test_server_info(server: FirestoreServer, collection: str) -> None:
    """server_info() tells which database it is, and whether an emulator answers."""
    with open_memory_db(f"firestore://my-project/second?collection_name={collection}") as db:
        assert isinstance(db, FirestoreMemoryDb)
        assert db.server_info() == {
            "server": f"emulator at {server.address}",
            "project": "my-project",
            "database": "second",
            "google-cloud-firestore": firestore.__version__,
            "collection": collection,
        }


def test_server_info_of_a_database_that_does_not_answer(server: FirestoreServer) -> None:
    """server_info() asks: where nothing answers it raises."""
    server.fault(method="BatchGetDocuments", code="PERMISSION_DENIED")
    with FirestoreMemoryDb() as db, pytest.raises(AccessError):
        db.server_info()


@pytest.mark.parametrize("calls", [300])
def test_a_burst_is_not_refused(server: FirestoreServer, collection: str, calls: int) -> None:
    """Hundreds of threads, and hundreds of tasks, write through one object at the same moment."""
    from buddy.memory.testing.assertions import at_once

    with FirestoreMemoryDb(collection) as db:
        at_once(calls, lambda n: db.upsert_memory(MemoryRow({}, str(n), "threads")))
    # All of them waited for one look at the markers.
    assert server.requests == {"BatchGetDocuments": 1, "ListDocuments": 1, "Commit": 1 + calls}

    async def burst() -> None:
        async with AsyncFirestoreMemoryDb(collection) as adb:
            rows = (MemoryRow({}, str(n), "tasks") for n in range(calls))
            await asyncio.gather(*(adb.upsert_memory(row) for row in rows))

    asyncio.run(burst())
    with FirestoreMemoryDb(collection) as db:
        assert [db.count_memories(user) for user in ("threads", "tasks")] == [calls, calls]
