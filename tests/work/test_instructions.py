"""What each operation costs in Python itself, in executed instructions of the interpreter.

They are counted by the interpreter's own trace of opcodes, which gives the same number on every
machine and at every load, and needs no tool. Callgrind would count the processor's instructions,
those of C code too; they differ between builds of one Python version by more than the regressions
that one wants to see. Python 3.10 to 3.13 execute between 17 % fewer and 1 % more than 3.11.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from types import FrameType
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.stored import StoredMemoryDb

TEXT = {"memory": "They like tea and walks by the river", "topics": ["tea", "walks"], "score": 0.5}


class InMemoryDb(StoredMemoryDb):
    """Version 2 on core's own store: what Policy and the rows cost, and nothing else."""

    def __init__(self) -> None:
        super().__init__(InMemoryStore())


DATABASES: dict[str, Callable[[], MemoryDb]] = {
    "inmemory": InMemoryDb,
    "sqlite": lambda: open_memory_db("sqlite://"),
}

OPERATIONS: dict[str, Callable[[MemoryDb], object]] = {
    "upsert": lambda db: db.upsert_memory(MemoryRow(TEXT, "known", "ann")),
    "exists": lambda db: db.memory_exists(MemoryRow({}, "known", "ann")),
    "read by id": lambda db: db.read_memory("known"),
    "newest 20": lambda db: db.read_memories("reader", limit=20),
    "delete": lambda db: db.delete_memory("gone"),
    "bulk upsert of 100": lambda db: db.upsert_memories(
        [MemoryRow(TEXT, f"bulk-{n}", "bob") for n in range(100)]
    ),
}


EXPECTED = {
    "inmemory": {
        "upsert": 2884,
        "exists": 2440,
        "read by id": 2384,
        "newest 20": 31695,
        "delete": 159,
        "bulk upsert of 100": 285139,
    },
    "sqlite": {
        "upsert": 1889,
        "exists": 1134,
        "read by id": 1285,
        "newest 20": 5907,
        "delete": 1097,
        "bulk upsert of 100": 73707,
    },
}


def opcodes(operation: Callable[[MemoryDb], object], db: MemoryDb) -> int:
    """Return how many instructions the interpreter executes for one operation."""
    if sys.version_info >= (3, 12):
        return _monitored(operation, db)
    number = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal number
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        number += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        operation(db)
    finally:
        sys.settrace(before)
    return number


def _monitored(operation: Callable[[MemoryDb], object], db: MemoryDb) -> int:
    """From 3.12 on, frames that exist already would not be traced to their end."""
    monitoring: Any = sys.monitoring
    tool, event, numbers = monitoring.PROFILER_ID, monitoring.events.INSTRUCTION, count()
    monitoring.use_tool_id(tool, "work")
    monitoring.register_callback(tool, event, lambda code, offset: next(numbers))
    monitoring.set_events(tool, event)
    try:
        operation(db)
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    return next(numbers)


@pytest.mark.parametrize("backend", EXPECTED)
def test_instructions(backend: str) -> None:
    """No operation takes a tenth more instructions than it did."""
    with DATABASES[backend]() as db:
        db.upsert_memories(MemoryRow(TEXT, f"read-{n}", "reader") for n in range(20))
        found = {}
        for operation, call in OPERATIONS.items():
            call(db)  # What is made once is not counted.
            found[operation] = opcodes(call, db)
    grown = {name: n for name, n in found.items() if n > 1.1 * EXPECTED[backend][name]}
    assert grown == {}, f"found {found}"
