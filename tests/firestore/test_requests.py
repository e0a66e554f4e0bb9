"""What an operation costs: requests, and document reads and writes that are billed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from buddy.memory.errors import ConflictError, OwnerMismatchError
from buddy.memory.v2.db.firestore import FirestoreMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
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


def test_a_new_row_is_one_commit_of_one_write(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """The upsert of a new row is one request and bills one write."""
    db.upsert_memory(row("a"))
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
        other.delete_memory("first")
        other.upsert_memory(row("first", "bob"))
    assert db.upsert_memory(row("first", "bob")).version == 2
    with pytest.raises(OwnerMismatchError):
        db.upsert_memory(row("first"))
    assert db.delete_memory("first", user_id="ann") is False
    assert [m.user_id for m in db.read_memories()] == ["bob"]


def test_a_listing_of_n_rows_bills_n_reads(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A listing is one query and bills a read for each row that it returns."""
    db.upsert_memories(row(str(n)) for n in range(30))
    server.reset()
    assert len(db.read_memories("ann", limit=10)) == 10
    assert server.requests == {"RunQuery": 1}
    assert server.billed == {"reads": 10}
    server.reset()
    assert len(db.read_memories()) == 31
    assert server.requests == {"RunQuery": 1}
    assert server.billed == {"reads": 31}


def test_iteration_pages_by_cursors(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """Pages start where the last one ended: no row is billed twice, and none is skipped over."""
    db.upsert_memories(row(str(n)) for n in range(30))
    server.reset()
    assert len(list(db.iter_memories("ann", page_size=10))) == 31
    assert server.requests == {"RunQuery": 4}
    assert server.billed == {"reads": 31}


def test_reading_and_deleting_by_id_are_one_request(
    db: FirestoreMemoryDb, server: FirestoreServer
) -> None:
    """By id, reading bills one read, and deleting one delete."""
    assert db.read_memory("first") is not None
    assert (server.requests, server.billed) == ({"BatchGetDocuments": 1}, {"reads": 1})
    server.reset()
    assert db.delete_memory("first") is True
    assert (server.requests, server.billed) == ({"Commit": 1}, {"deletes": 1})


def test_counting_reads_no_rows(db: FirestoreMemoryDb, server: FirestoreServer) -> None:
    """A count bills one read for each thousand rows."""
    db.upsert_memories(row(str(n)) for n in range(1200))
    server.reset()
    assert db.count_memories("ann") == 1201
    assert server.requests == {"RunAggregationQuery": 1}
    assert server.billed == {"reads": 2}


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
    """delete_user reads and deletes each row once, 500 at a time."""
    db.upsert_memories(row(str(n)) for n in range(1001))
    server.reset()
    assert db.delete_user("ann") == {"memories": 1002, "summaries": 0}
    assert server.requests == {"RunQuery": 4, "BatchWrite": 3}
    assert server.billed == {"reads": 1003, "deletes": 1002}


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
