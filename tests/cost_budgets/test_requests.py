"""What each operation asks of its server: a regression shows here without a clock.

Firestore's requests and billed documents are counted in tests/firestore/test_requests.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy_memory_mongo import schema as mongo_schema
from tests.cost_budgets.counters import COUNTED, Counter
from tests.cost_budgets.expected import EXPECTED
from tests.cost_budgets.relay import Work

Operation = Callable[[MemoryDb, int], object]

WARM = 7
"""Times after which a driver has learned all that it learns: psycopg prepares at the sixth."""

TEXT = {"memory": "They like tea and walks by the river", "topics": ["tea", "walks"], "score": 0.5}


def row(id: str, user: str = "ann") -> MemoryRow:
    return MemoryRow(TEXT, id, user)


def many(n: int, rows: int) -> list[MemoryRow]:
    return [row(f"bulk-{n}-{number:04}", f"user-{number % 10}") for number in range(rows)]


IDS = [f"read-{n:04}" for n in range(0, 100, 5)]

SINGLE: dict[str, Operation] = {
    "upsert, new row": lambda db, n: db.upsert_memory(row(f"new-{n}")),
    "upsert, update": lambda db, n: db.upsert_memory(row(f"new-{n}")),
    "exists": lambda db, n: db.memory_exists(row(f"new-{n}")),
    "read by id": lambda db, n: db.read_memory(f"new-{n}", user_id="ann"),
    "read by id alone": lambda db, n: db.read_memory(f"new-{n}"),
    "read 20 by id": lambda db, n: db.read_memories_by_id(IDS, user_id="reader"),
    "read 20 by id alone": lambda db, n: db.read_memories_by_id(IDS),
    "newest 20": lambda db, n: db.read_memories("reader", limit=20),
    "newest 20 of a prefix": lambda db, n: db.read_memories(user_prefix="read", limit=20),
    "newest 20 of all": lambda db, n: db.read_memories(limit=20),
    "iterate over 100 by 50": lambda db, n: list(db.iter_memories("reader", page_size=50)),
    "page of 50": lambda db, n: db.page_memories("reader", limit=50),
    "count": lambda db, n: db.count_memories("reader"),
    "users": lambda db, n: db.list_users(limit=20),
    "change mark": lambda db, n: db.change_mark("reader"),
    "delete": lambda db, n: db.delete_memory(f"new-{n}", user_id="ann"),
}
BULK: dict[str, Operation] = {
    "bulk upsert of 200": lambda db, n: db.upsert_memories(many(n, 200)),
    "bulk delete of 20": lambda db, n: db.delete_memories(
        [f"bulk-{n}-{number:04}" for number in range(0, 200, 10)], user_id="user-0"
    ),
    "delete of a user": lambda db, n: db.delete_user("user-3"),
    "delete of users": lambda db, n: db.delete_users(user_prefix="user"),
}


def measured(db: MemoryDb, counter: Counter) -> Iterator[tuple[str, Work]]:
    """Yield each operation with what it cost at its last repetition."""
    db.upsert_memories(row(f"read-{n:04}", "reader") for n in range(100))
    for operations, times in ((SINGLE, WARM), (BULK, 2)):
        for n in range(1, times + 1):
            for name, operation in operations.items():
                counter.reset()
                operation(db, n)
                if n == times:
                    yield name, counter.work()


@pytest.mark.parametrize("backend", COUNTED)
def test_the_work_of_each_operation(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statements and round trips are these, and bytes at most a twentieth more."""
    # On a slow machine MongoDB's indexes would be looked at again in between.
    monkeypatch.setattr(mongo_schema, "INSERTED_CHECK_SECONDS", 600.0)
    monkeypatch.setattr(mongo_schema, "CHECK_SECONDS", 600.0)
    with COUNTED[backend](tmp_path) as opened:
        found = dict(measured(*opened))
    expected = EXPECTED[backend]
    assert {name: work[:2] for name, work in found.items()} == {
        name: work[:2] for name, work in expected.items()
    }
    grown = {
        name: (work, expected[name])
        for name, work in found.items()
        if work.sent > 1.05 * expected[name].sent or work.received > 1.05 * expected[name].received
    }
    assert grown == {}
