"""What each operation asks of its server: a regression shows here without a clock.

Firestore's requests and billed documents are counted in tests/firestore/test_requests.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from buddy.memory import open_memory_db
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from tests.work.counters import COUNTED, Counter
from tests.work.expected import EXPECTED
from tests.work.relay import Relay, Work

Operation = Callable[[MemoryDb, int], object]

WARM = 7
"""Times after which a driver has learned all that it learns: psycopg prepares at the sixth."""

TEXT = {"memory": "They like tea and walks by the river", "topics": ["tea", "walks"], "score": 0.5}


def row(id: str, user: str = "ann") -> MemoryRow:
    return MemoryRow(TEXT, id, user)


def many(n: int, rows: int) -> list[MemoryRow]:
    return [row(f"bulk-{n}-{number:04}", f"user-{number % 10}") for number in range(rows)]


SINGLE: dict[str, Operation] = {
    "upsert, new row": lambda db, n: db.upsert_memory(row(f"new-{n}")),
    "upsert, update": lambda db, n: db.upsert_memory(row(f"new-{n}")),
    "exists": lambda db, n: db.memory_exists(row(f"new-{n}")),
    "read by id": lambda db, n: db.read_memory(f"new-{n}"),
    "newest 20": lambda db, n: db.read_memories("reader", limit=20),
    "page 100 by 50": lambda db, n: list(db.iter_memories("reader", page_size=50)),
    "count": lambda db, n: db.count_memories("reader"),
    "delete": lambda db, n: db.delete_memory(f"new-{n}"),
}
BULK: dict[str, Operation] = {
    "bulk upsert of 200": lambda db, n: db.upsert_memories(many(n, 200)),
    "bulk delete of 200": lambda db, n: db.delete_memories(r.id or "" for r in many(n, 200)),
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
def test_the_work_of_each_operation(backend: str, tmp_path: Path) -> None:
    """Statements and round trips are these, and bytes at most a twentieth more."""
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


def test_an_id_alone(tmp_path: Path) -> None:
    """Redis keeps a row with its user: a read by an id alone takes one round trip when the user was
    seen before, two when not, and three when the id is another user's by now."""
    found = []
    with COUNTED["redis"](tmp_path) as (db, counter):
        assert isinstance(counter, Relay)
        with open_memory_db(f"redis://127.0.0.1:{counter.behind[1]}/0") as other:
            other.upsert_memory(row("warm"))
            db.memory_exists(MemoryRow({}, "warm"))  # The server knows the script.
            for user in ("ann", "ann", "bob"):
                other.delete_user("ann" if user == "bob" else "bob")
                other.upsert_memory(row("a", user))
                counter.reset()
                assert db.memory_exists(MemoryRow({}, "a")) is True
                found.append(counter.work()[:2])
    assert found == [(2, 2), (1, 1), (3, 3)]
