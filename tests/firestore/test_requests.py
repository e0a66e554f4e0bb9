"""What an operation costs: requests, and document reads and writes that are billed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import Kind, Scope
from buddy.memory.storage.sync_runner import run
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_firestore.pages import FEW
from tests.firestore_server.process import FirestoreServer


@pytest.fixture
def db(server: FirestoreServer, collection: str) -> Iterator[FirestoreMemoryDb]:
    """A database that has written before."""
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memory(MemoryRow({"n": 0}, "first", "ann"))
        server.reset()
        yield db


def row(id: str, user_id: str = "ann") -> MemoryRow:
    return MemoryRow({"text": "likes tea"}, id, user_id)


def test_the_first_call_looks_at_the_markers(
    db: FirestoreMemoryDb, server: FirestoreServer, collection: str
) -> None:
    """An object asks once whether the collections are its own: one request, two reads."""
    with FirestoreMemoryDb(collection) as other:
        assert other.read_memory("first", user_id="ann") is not None
        assert (server.requests, server.billed) == ({"BatchGetDocuments": 2}, {"reads": 3})
        server.reset()
        other.upsert_memory(row("a"))
    assert (server.requests, server.billed) == ({"Commit": 1}, {"writes": 1})


def test_the_first_write_to_a_store_makes_it(server: FirestoreServer, collection: str) -> None:
    """Before the first row of a store both markers are written, in one commit."""
    with FirestoreMemoryDb(collection) as db:
        db.upsert_memory(row("a"))
    assert server.requests == {"BatchGetDocuments": 1, "ListDocuments": 1, "Commit": 2}
    assert server.billed == {"reads": 3, "writes": 3}


def test_a_new_row_is_one_commit_of_one_write(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """The upsert of a new row is one request and bills one write."""
    db.upsert_memory(row("a"))
    assert server.requests == {"Commit": 1}
    assert server.billed == {"writes": 1}


def test_the_same_id_of_another_user_is_one_commit(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """An id that another user has costs what any new row does."""
    assert db.upsert_memory(row("first", "bob")).version == 1
    assert server.requests == {"Commit": 1}
    assert server.billed == {"writes": 1}


def test_an_update_of_a_row_read_before_is_one_commit(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """The update of a row that this object wrote or read is one request and bills one write."""
    db.upsert_memory(row("first"))
    assert server.requests == {"Commit": 1}
    assert server.billed == {"writes": 1}


def test_an_update_of_an_unknown_row_reads_it_once(
    db: FirestoreMemoryDb, server: FirestoreServer, collection: str
) -> None:
    """The update of a row never seen is a refused commit, one read and one write."""
    with FirestoreMemoryDb(collection) as other:
        other.upsert_memory(row("other"))
        server.reset()
        assert other.upsert_memory(row("first")).version == 2
    assert server.requests == {"Commit": 2, "BatchGetDocuments": 1}
    assert server.billed == {"reads": 1, "writes": 1}


def test_a_stale_guess_is_never_trusted(
    db: FirestoreMemoryDb, server: FirestoreServer, collection: str
) -> None:
    """What an object remembers of a row decides nothing: the server's version does."""
    with FirestoreMemoryDb(collection) as other:
        other.upsert_memory(row("first"))
        assert db.upsert_memory(row("first")).version == 3
        with pytest.raises(ConflictError):
            other.upsert_memory(row("first"), if_version=2)
        other.delete_memory("first", user_id="ann")
        other.upsert_memory(row("first"))
    assert db.upsert_memory(row("first")).version == 2


def test_a_listing_of_n_rows_bills_n_reads(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A listing of a user is one query and bills a read for each row that it returns."""
    db.upsert_memories(row(str(n)) for n in range(30))
    server.reset()
    assert len(db.read_memories("ann", limit=10)) == 10
    assert (server.requests, server.billed) == ({"RunQuery": 1}, {"reads": 10})
    server.reset()
    assert len(db.read_memories("ann")) == 31
    assert (server.requests, server.billed) == ({"RunQuery": 1}, {"reads": 31})


def test_a_listing_of_all_users_merges_sixteen_queries(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """All rows are N reads in sixteen queries; a page reads a little more than it returns."""
    db.upsert_memories(row(str(n), f"user {n % 7}") for n in range(999))
    server.reset()
    assert len(db.read_memories()) == 1000
    assert (server.requests, server.billed) == ({"RunQuery": 16}, {"reads": 1000})
    for limit, most in ((1, 40), (20, 80), (200, 300)):
        server.reset()
        assert len(db.read_memories(limit=limit)) == limit
        assert server.requests["RunQuery"] <= 40
        assert server.billed["reads"] <= most


def test_a_small_prefix_is_read_and_sorted(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A page of a prefix with few rows is a count and one query."""
    db.upsert_memories(row(str(n), f"org/{n % 3}") for n in range(60))
    server.reset()
    assert [r.id for r in db.read_memories(user_prefix="org/", limit=3)] == ["59", "58", "57"]
    assert server.requests == {"RunAggregationQuery": 1, "RunQuery": 1}
    assert server.billed == {"reads": 61}


def test_a_large_prefix_is_merged_user_by_user(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """A page of a prefix with many rows reads a few rows of each user, however many they have."""
    db.upsert_memories(row(str(n), f"org/{n % 3}") for n in range(FEW + 300))
    db.upsert_memories(row(str(n), f"other/{n}") for n in range(50))
    server.reset()
    found = db.read_memories(user_prefix="org/", limit=6)
    assert [r.id for r in found] == [str(n) for n in range(FEW + 299, FEW + 293, -1)]
    assert server.billed["reads"] <= 40
    assert server.requests["RunQuery"] <= 10


def test_users_are_skipped_to(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """The users of many rows cost two reads each, those of one row about one, in few requests."""
    db.upsert_memories(row(str(n), f"many {n % 5}") for n in range(500))
    db.upsert_memories(row(str(n), f"one {n:03}") for n in range(300))
    server.reset()
    assert db.list_users(prefix="many") == [f"many {n}" for n in range(5)]
    memories = server.billed["reads"] - 1  # One more is that there are no summaries.
    assert memories <= 8 + 2 * 5
    server.reset()
    assert len(db.list_users(prefix="one")) == 300
    assert server.billed["reads"] <= 302
    assert server.requests["RunQuery"] <= 8


def test_iteration_pages_by_cursors(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """Pages start where the last one ended: no row is billed twice, and none is skipped over."""
    db.upsert_memories(row(str(n)) for n in range(30))
    server.reset()
    assert len(list(db.iter_memories("ann", page_size=10))) == 31
    assert server.requests == {"RunQuery": 4}
    assert server.billed == {"reads": 31}


def test_one_row_is_one_request(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """With its user, reading a row bills one read, and deleting it one delete."""
    assert db.read_memory("first", user_id="ann") is not None
    assert (server.requests, server.billed) == ({"BatchGetDocuments": 1}, {"reads": 1})
    server.reset()
    assert db.delete_memory("first", user_id="ann") is True
    assert (server.requests, server.billed) == ({"Commit": 1}, {"deletes": 1})


def test_by_id_alone_a_row_is_one_query(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """Without its user, a row is found by one query; deleting it is a commit more."""
    assert db.read_memory("first") is not None
    assert (server.requests, server.billed) == ({"RunQuery": 1}, {"reads": 1})
    server.reset()
    assert db.delete_memory("first") is True
    assert (server.requests, server.billed) == (
        {"RunQuery": 1, "Commit": 1},
        {"reads": 1, "deletes": 1},
    )


def test_many_rows_of_a_user_are_one_request(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """Many ids of one user are one request; without a user, thirty go into a query."""
    db.upsert_memories(row(str(n)) for n in range(100))
    server.reset()
    assert None not in db.read_memories_by_id([str(n) for n in range(100)], user_id="ann")
    assert (server.requests, server.billed) == ({"BatchGetDocuments": 1}, {"reads": 100})
    server.reset()
    assert None not in db.read_memories_by_id([str(n) for n in range(100)])
    assert (server.requests, server.billed) == ({"RunQuery": 4}, {"reads": 100})


def test_a_common_id_does_not_hide_others(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """An id that hundreds of users have bills a few reads, and the others are found beside it."""
    db.upsert_memories(row("profile", f"user {n}") for n in range(300))
    store = db._rules.store
    server.reset()
    found = run(store.find(Kind.MEMORY, ["first", "profile", "none"]))
    assert sorted(one.id for one in found) == ["first", "profile", "profile"]
    assert server.billed["reads"] <= 6 + 2


def test_counting_reads_no_rows(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A count bills one read for each thousand rows: of a user, of a prefix, of all; and one more
    for what has ended."""
    db.upsert_memories(row(str(n)) for n in range(1200))
    for call in (
        lambda: db.count_memories("ann"),
        lambda: db.count_memories(user_prefix="an"),
        db.count_memories,
    ):
        server.reset()
        assert call() == 1201
        assert sum(server.requests.values()) == 2
        assert server.billed == {"reads": 3}


def test_a_mark_reads_no_rows(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A mark is one aggregation over the user's own index, whatever others have, and a query for
    what has ended."""
    db.upsert_memories(row(str(n), "bob") for n in range(1200))
    server.reset()
    assert run(db._rules.store.mark(Kind.MEMORY, "ann")).startswith("1:")
    assert server.requests == {"RunAggregationQuery": 1, "RunQuery": 1}
    assert server.billed == {"reads": 2}


def test_a_rewrite_of_a_row_read_before_is_one_commit(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """A rewrite of a row that was read is one request; one that lost its race is one read."""
    store = db._rules.store
    record = run(store.get(Kind.MEMORY, "ann", "first"))
    server.reset()
    assert run(store.rewrite(*record[:3], record.stamp, payload={}, vector=b"v")) is True
    assert (server.requests, server.billed) == ({"Commit": 1}, {"writes": 1})
    server.reset()
    assert run(store.rewrite(*record[:3], record.stamp, payload={}, vector=b"v")) is False
    assert (server.requests, server.billed) == ({"BatchGetDocuments": 1}, {"reads": 1})


def test_a_bulk_upsert_bills_a_write_for_each_row(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """New rows cost a write each, in batches of 500; rows that exist cost a read more."""
    db.upsert_memories(row(str(n)) for n in range(1001))
    assert server.requests == {"BatchWrite": 3}
    assert server.billed == {"writes": 1001}
    server.reset()
    db.upsert_memories(row(str(n)) for n in range(10))
    assert server.billed == {"reads": 10, "writes": 10}


def test_large_rows_go_in_several_batches(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """No batch exceeds the service's 10 MiB for a request."""
    big = {"text": "x" * 900_000}
    assert len(db.upsert_memories(MemoryRow(big, str(n), "ann") for n in range(20))) == 20
    assert server.requests == {"BatchWrite": 3}


def test_clearing_goes_in_batches(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """delete_user counts, then reads and deletes each row once, 500 at a time."""
    db.upsert_memories(row(str(n)) for n in range(1001))
    server.reset()
    assert db.delete_user("ann") == {"memories": 1002, "summaries": 0}
    assert server.requests == {"RunAggregationQuery": 2, "RunQuery": 3, "BatchWrite": 3}
    assert server.billed == {"reads": 1002 + 2 + 1, "deletes": 1002}


def test_an_interrupted_clear_can_be_repeated(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """A clear that failed half-way has deleted some rows; the next one deletes the rest."""
    db.upsert_memories(row(str(n)) for n in range(600))
    server.fault(method="BatchWrite", skip=1, times=1, code="PERMISSION_DENIED", text="no")
    with pytest.raises(PermissionError):
        db.clear()
    assert db.count_memories() == 101
    assert db.clear() is True
    assert db.count_memories() == 0


def test_a_deletion_leaves_what_was_written_meanwhile(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """delete_all reads and deletes what was there when it began, and ends beside bulk writers."""
    db.upsert_memories(row(f"old {n}") for n in range(700))
    store, calls = db._rules.store, db._rules.store.calls
    plain, rounds = calls.query, iter(range(100))

    async def query(*args: object, **options: object) -> object:
        written = next(rounds)
        with FirestoreMemoryDb(store.schema.collections[Kind.MEMORY]) as other:
            other.upsert_memories(row(f"new {written}-{n}") for n in range(600))
        return await plain(*args, **options)

    calls.query = query
    assert run(store.delete_all(Kind.MEMORY, Scope.of_user("ann"))) == 701
    calls.query = plain
    left = [r.id for r in db.read_memories("ann")]
    assert len(left) == 600 * next(rounds)
    assert all(id.startswith("new") for id in left)
