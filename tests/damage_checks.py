"""What must hold of a store in which one row was damaged by hand, whatever the damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from buddy.memory import KEEP, MemoryRow, open_memory_db
from buddy.memory.errors import CorruptMemoryError, MemoryDbError
from buddy.memory.transfer import copy, export_file, import_file

GOOD = ["a", "b", "d"]
BAD = "c"


def fill(db: Any) -> None:
    """Store the rows of a user, in which ``BAD`` is the one to be damaged."""
    for id in [*GOOD[:2], BAD, GOOD[2]]:
        db.upsert_memory(MemoryRow({"memory": "green tea", "topics": ["t"]}, id, "ann"), ttl=3600)


def check_damaged(db: Any, folder: Path) -> None:
    """Check a store that ``fill`` filled and of which one row was damaged since; clears it."""
    shown = {row.id for row in db.read_memories("ann")}
    assert shown >= {*GOOD}
    moved(db, folder)
    for name, call in harmless(db).items():
        try:
            call()
        except MemoryDbError as error:
            raise AssertionError(f"{name} fails for the damaged row: {error}") from error
    for name, call in touching(db):
        try:
            call()
        except MemoryDbError as error:
            if isinstance(error, CorruptMemoryError) and error.id != BAD:
                raise AssertionError(f"{name} names {error.id!r}") from error
    db.forget_user("ann")
    db.clear()
    assert db.read_memories() == []


def moved(db: Any, folder: Path) -> None:
    """Check that the store can be exported, the file imported, and all be copied."""
    exported = export_file(db, folder / "out.jsonl", force=True)
    with open_memory_db("memory://") as other:
        imported = import_file(other, folder / "out.jsonl")
    with open_memory_db("memory://") as other:
        copied = copy(db, other)
    assert copied.unreadable == exported.unreadable
    for result in (imported, copied):
        assert result.verified
        assert [row["id"] for row in result.refused_rows] in ([], [BAD])


def harmless(db: Any) -> dict[str, Callable[[], Any]]:
    """Return the calls that a damaged row has no part in, or is left out of."""
    row = MemoryRow({"memory": "new"}, "a", "ann")
    return {
        "read of another row": lambda: db.read_memory("a", user_id="ann"),
        "read of all": db.read_memories,
        "page": lambda: db.page_memories(user_id="ann", limit=2),
        "page of a prefix": lambda: db.page_memories(user_prefix="a", limit=2),
        "iteration": lambda: [*db.iter_memories("ann", page_size=2)],
        "count": lambda: db.count_memories("ann"),
        "count by payload": lambda: db.count_memories("ann", where={"topics": {"$exists": True}}),
        "users": db.list_users,
        "change mark": lambda: db.change_mark("ann"),
        "search": lambda: db.search_memories("tea", user_id="ann"),
        "write of another row": lambda: db.upsert_memory(row),
        "search after that": lambda: db.search_memories("new", user_id="ann"),
        "touch": lambda: db.touch_memories([*GOOD, BAD], user_id="ann", ttl=600),
        "sweep": db.sweep,
    }


def touching(db: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the calls that the damaged row itself may make fail."""
    bad = MemoryRow({"memory": "new"}, BAD, "ann")
    rows = [MemoryRow({"memory": "new"}, id, "ann") for id in ("a", BAD, "z")]
    yield "read", lambda: db.read_memory(BAD, user_id="ann")
    yield "read by id alone", lambda: db.read_memory(BAD)
    yield "read of several", lambda: db.read_memories_by_id(["a", BAD], user_id="ann")
    yield "bulk write", lambda: db.upsert_memories(rows)
    yield "write by version", lambda: db.upsert_memory(bad, if_version=1)
    yield "write of a new row", lambda: db.upsert_memory(bad, if_version=0)
    yield "write that keeps the end", lambda: db.upsert_memory(bad, ttl=KEEP)
    yield "write", lambda: db.upsert_memory(bad)
    yield "deletion by version", lambda: db.delete_memory(BAD, user_id="ann", if_version=7)
    yield "deletion of several", lambda: db.delete_memories(["a", BAD], user_id="ann")
