"""Two writers and a reader, and a ledger of what the store acknowledged to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

from buddy.memory import MemoryRow
from buddy.memory.errors import ConflictError, MemoryDbError

WRITERS = 2
USERS = 50
PATIENCE = 120.0
"""Seconds in which a store must answer again, after all."""


@dataclass
class Ledger:
    """What one writer was told. ``unknown`` writes raised: they may be stored or not."""

    acknowledged: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])
    increments: int = 0
    unknown_increments: int = 0
    longest: float = 0.0
    """Seconds between two successes, at the most."""
    errors: Counter[str] = field(default_factory=Counter[str])


@dataclass
class Outcome:
    """What became of the acknowledged writes of all writers."""

    acknowledged: int
    lost: int
    twice: int
    longest: float
    errors: Counter[str]
    foreign: int
    """Errors that are none of buddy-memory's."""

    @property
    def sound(self) -> bool:
        """Whether nothing was lost, stored twice, or raised in a foreign form."""
        return not (self.lost or self.twice or self.foreign)


class _Client(Thread):
    """Calls a database until it is told to stop; errors are noted, and it goes on."""

    def __init__(self, name: str, open_db: Callable[[], Any], stop: Event) -> None:
        super().__init__(name=name, daemon=True)
        self.ledger, self._end, self._open = Ledger(), stop, open_db

    def run(self) -> None:
        with self._open() as db:
            last = monotonic()
            number = 0
            while not self._end.is_set():
                number += 1
                try:
                    self.call(db, number)
                except Exception as error:
                    self.ledger.errors[type(error).__name__] += 1
                    if not isinstance(error, MemoryDbError):
                        self.ledger.errors["foreign"] += 1
                    sleep(0.05)
                    continue
                now = monotonic()
                self.ledger.longest, last = max(self.ledger.longest, now - last), now

    def call(self, db: Any, number: int) -> None:
        """Read."""
        db.read_memories(f"user-{number % USERS}", limit=20)


class _Writer(_Client):
    def call(self, db: Any, number: int) -> None:
        """Write a new row; and every tenth time, count a row of one's own one up by version."""
        if number % 10 == 0:
            self._increment(db)
            return
        id = f"{self.name}-{number}"
        try:
            db.upsert_memory(MemoryRow({"n": number}, id, f"user-{number % USERS}"))
        except Exception:
            self.ledger.unknown.add(id)
            raise
        self.ledger.acknowledged.add(id)

    def _increment(self, db: Any) -> None:
        row = db.read_memory("counter", user_id=self.name)
        value, version = (row.memory["value"], row.version) if row else (0, 0)
        try:
            new = MemoryRow({"value": value + 1}, "counter", self.name)
            db.upsert_memory(new, if_version=version)
        except Exception:
            self.ledger.unknown_increments += 1
            raise
        self.ledger.increments += 1


def run_load(open_db: Callable[[], Any], seconds: float, hurt: Callable[[], None]) -> Outcome:
    """Let writers and a reader work for so long; ``hurt`` the engine after a third of it."""
    with open_db() as db:
        db.create()
    stop = Event()
    writers = [_Writer(f"writer-{n}", open_db, stop) for n in range(WRITERS)]
    clients: list[_Client] = [*writers, _Client("reader", open_db, stop)]
    for client in clients:
        client.start()
    sleep(seconds / 3)
    hurt()
    sleep(seconds * 2 / 3)
    stop.set()
    for client in clients:
        client.join(PATIENCE)
        assert not client.is_alive(), f"the {client.name} hangs"
    with open_db() as db:
        return _compared(_when_it_answers(db), writers, clients)


def _when_it_answers(db: Any) -> Any:
    deadline = monotonic() + PATIENCE
    while True:
        try:
            db.read_memories(limit=1)
        except MemoryDbError:
            if monotonic() > deadline:
                raise
            sleep(0.2)
        else:
            return db


def _compared(db: Any, writers: list[_Writer], clients: list[_Client]) -> Outcome:
    stored = {row.id: row for row in db.iter_memories()}
    lost = twice = 0
    for writer in writers:
        ledger = writer.ledger
        lost += len(ledger.acknowledged - stored.keys())
        twice += sum(stored[id].version > 1 for id in ledger.acknowledged & stored.keys())
        counter = db.read_memory("counter", user_id=writer.name)
        value = counter.memory["value"] if counter else 0
        lost += max(0, ledger.increments - value)
        twice += max(0, value - ledger.increments - ledger.unknown_increments)
    errors = sum((client.ledger.errors for client in clients), Counter[str]())
    foreign = errors.pop("foreign", 0)
    errors.pop(ConflictError.__name__, None)  # The answer to a write whose first answer was lost.
    return Outcome(
        acknowledged=sum(len(w.ledger.acknowledged) + w.ledger.increments for w in writers),
        lost=lost,
        twice=twice,
        longest=max(client.ledger.longest for client in clients),
        errors=errors,
        foreign=foreign,
    )
