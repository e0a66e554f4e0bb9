"""Writers in a tight loop on one row: others get through beside them, and deletions end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from buddy.memory.storage.record import Kind, Scope
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.firestore_server.process import FirestoreServer

DELETIONS: dict[str, Callable[[FirestoreMemoryDb], Any]] = {
    "clear": lambda db: db.clear(),
    "delete_user": lambda db: db.delete_user("ann"),
    "delete_users": lambda db: db.delete_users(user_prefix="a"),
    "forget_user": lambda db: db.forget_user("ann"),
}


def row(id: str) -> MemoryRow:
    return MemoryRow({"text": "likes tea"}, id, "ann")


@pytest.fixture
def db(server: FirestoreServer, collection: str) -> Iterator[FirestoreMemoryDb]:
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memories(row(str(n)) for n in range(20))
        yield db


@contextmanager
def writers(collection: str, count: int) -> Iterator[list[int]]:
    """Threads that write one row again and again, each through a client of its own; yields how
    often each of them has. An error of theirs is raised at the end."""
    done, errors, stop = [0] * count, list[Exception](), threading.Event()

    def write(i: int) -> None:
        with FirestoreMemoryDb(collection) as db:
            while not stop.is_set():
                try:
                    db.upsert_memory(row("hot"))
                except Exception as error:
                    errors.append(error)
                    return
                done[i] += 1

    threads = [threading.Thread(target=write, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


def wait_for(is_so: Callable[[], bool]) -> None:
    """Return when it is so; raise when it is not within half a minute."""
    pause = threading.Event()
    for _ in range(3000):
        if is_so():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come about")


@pytest.mark.parametrize("call", DELETIONS.values(), ids=DELETIONS)
def test_a_deletion_ends_beside_a_busy_writer(
    db: FirestoreMemoryDb, collection: str, call: Callable[[FirestoreMemoryDb], Any]
) -> None:
    """What deletes many rows ends while another client keeps updating one of them."""
    with writers(collection, 1) as done:
        wait_for(lambda: done[0] > 10)
        call(db)
    assert db.count_memories() <= 1


def test_a_row_that_never_rests_is_deleted(db: FirestoreMemoryDb, collection: str) -> None:
    """A row that is updated after each look at it is deleted all the same, and counted once."""
    store = db._rules.store
    plain_get, plain_query = store.calls.get, store.calls.query

    async def get(*args: Any, **options: Any) -> Any:
        found = await plain_get(*args, **options)
        with FirestoreMemoryDb(collection) as other:
            other.upsert_memory(row("7"))
        return found

    async def query(*args: Any, **options: Any) -> Any:
        found = await plain_query(*args, **options)
        with FirestoreMemoryDb(collection) as other:
            other.upsert_memory(row("7"))
        return found

    store.calls.get, store.calls.query = get, query
    assert run(store.delete_all(Kind.MEMORY, Scope.of_user("ann"))) == 20
    store.calls.get, store.calls.query = plain_get, plain_query
    assert db.count_memories() == 0


def test_a_row_made_again_meanwhile_stays(db: FirestoreMemoryDb, collection: str) -> None:
    """A row that another client deletes and makes again meanwhile is a new one, and stays."""
    store = db._rules.store
    plain = store.calls.query

    async def query(*args: Any, **options: Any) -> Any:
        found = await plain(*args, **options)
        with FirestoreMemoryDb(collection) as other:
            other.delete_memory("7", user_id="ann")
            other.upsert_memory(row("7"))
        return found

    store.calls.query = query
    assert run(store.delete_all(Kind.MEMORY, Scope.of_user("ann"))) == 19
    store.calls.query = plain
    assert [one.id for one in db.read_memories()] == ["7"]


def test_a_deletion_does_not_follow_new_rows(db: FirestoreMemoryDb, collection: str) -> None:
    """Where others deleted a row that was counted, new rows are not read for ever."""
    store = db._rules.store
    plain, rounds = store.calls.query, iter(range(20))

    async def query(*args: Any, **options: Any) -> Any:
        written = next(rounds)
        with FirestoreMemoryDb(collection) as other:
            other.delete_memory("7", user_id="ann")
            other.upsert_memories(row(f"new {written}-{n}") for n in range(600))
        return await plain(*args, **options)

    store.calls.query = query
    assert run(store.delete_all(Kind.MEMORY, Scope.of_user("ann"))) == 19
    store.calls.query = plain
    assert db.count_memories() == 600 * next(rounds)


def test_each_of_several_busy_writers_gets_through(db: FirestoreMemoryDb, collection: str) -> None:
    """Writers of one row do not starve each other."""
    db.upsert_memory(row("hot"))
    with writers(collection, 3) as done:
        wait_for(lambda: min(done) > 20)
    stored = db.read_memory("hot", user_id="ann")
    assert stored is not None
    assert stored.version == 1 + sum(done)
