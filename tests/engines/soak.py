"""Many tasks for minutes, beside forks and a restarting server: nothing is lost, nothing grows.

    ./run soak [BACKEND…] [--seconds 120] [--tasks 200]

Each task has a user of its own, and a ledger of what its rows must be. It writes, changes by
version, reads, searches, gives ends, and deletes. The server is restarted twice, and now and then a
forked child writes. In the end all ledgers are compared with the store; memory, descriptors and
threads at the end with those after a third of the time. The exit code is 1 where something was lost
or has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from buddy.memory import MemoryRow, open_async_memory_db, open_memory_db
from buddy.memory.errors import MemoryDbError
from tests.servers.backends import Backend, started
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

BACKENDS = ("sqlite", "postgres", "mongo", "redis", "firestore")
WORDS = ["tea", "coffee", "lake", "lamp", "violin", "bread", "harbour", "winter", "letter"]


def _restart_postgres(server: PostgresServer) -> None:
    server.halt()
    server.start()


RESTARTS: dict[str, Callable[[Any], None]] = {
    "postgres": _restart_postgres,
    "redis": RedisServer.restart,
}
"""How a server is restarted that keeps its data; the others go on."""

SHORT = 0.1
"""Seconds after which some rows end."""
MOST_GROWTH = 1.15
SPARE_MIB, SPARE = 24, 12
"""Growth that is none: MiB, and descriptors or threads."""


class Usage(NamedTuple):
    """What this process holds."""

    mib: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Usage:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        mib = pages * resource.getpagesize() / 2**20
        return cls(mib, len([*Path("/proc/self/fd").iterdir()]), threading.active_count())

    def has_grown(self, before: Usage) -> bool:
        return (
            self.mib > before.mib * MOST_GROWTH + SPARE_MIB
            or self.descriptors > before.descriptors + SPARE
            or self.threads > before.threads + SPARE
        )


@dataclass
class Ledger:
    """What a user's rows must be: the value of each id that is known for sure."""

    rows: dict[str, int] = field(default_factory=dict[str, int])
    unsure: set[str] = field(default_factory=set[str])
    calls: int = 0
    errors: Counter[str] = field(default_factory=Counter[str])


class Worker:
    """A task with a user of its own."""

    def __init__(self, db: Any, number: int) -> None:
        self.db, self.user, self.ledger = db, f"user-{number}", Ledger()
        self._random = random.Random(number)  # noqa: S311
        self._next = 0

    async def work(self, until: float) -> None:
        steps = (self._write, self._write, self._change, self._change, self._read, self._search,
                 self._end, self._delete)  # fmt: skip
        while time.monotonic() < until:
            try:
                await self._random.choice(steps)()
            except MemoryDbError as error:
                self.ledger.errors[type(error).__name__] += 1
                await asyncio.sleep(0.05)
            self.ledger.calls += 1

    async def _put(self, id: str, value: int, **options: Any) -> None:
        """Store a row; until it is acknowledged, nobody knows what is there."""
        text = " ".join(self._random.sample(WORDS, 3))
        self.ledger.rows.pop(id, None)
        self.ledger.unsure.add(id)
        await self.db.upsert_memory(
            MemoryRow({"memory": text, "value": value}, id, self.user), **options
        )
        self.ledger.unsure.discard(id)
        self.ledger.rows[id] = value

    async def _write(self) -> None:
        self._next += 1
        await self._put(f"{self._next}", 1)

    async def _change(self) -> None:
        if not self.ledger.rows:
            return
        id = self._random.choice(list(self.ledger.rows))
        row = await self.db.read_memory(id, user_id=self.user)
        assert row is not None, f"{id} of {self.user} is lost"
        assert row.memory["value"] == self.ledger.rows[id], f"{id} of {self.user} is another"
        await self._put(id, row.memory["value"] + 1, if_version=row.version)

    async def _read(self) -> None:
        page = await self.db.page_memories(self.user, limit=20)
        found = {row.id for row in page.rows}
        known = self.ledger.rows.keys()
        assert len(found) >= min(20, len(known)), f"a page of {self.user} has {len(found)} rows"

    async def _search(self) -> None:
        for result in await self.db.search_memories(self._random.choice(WORDS), user_id=self.user):
            assert result.row.user_id == self.user

    async def _end(self) -> None:
        self._next += 1
        row = MemoryRow({"memory": "ends"}, f"ends-{self._next}", self.user)
        await self.db.upsert_memory(row, ttl=SHORT)

    async def _delete(self) -> None:
        if len(self.ledger.rows) < 30:
            return
        id = self._random.choice(list(self.ledger.rows))
        del self.ledger.rows[id]
        self.ledger.unsure.add(id)
        await self.db.delete_memory(id, user_id=self.user)
        self.ledger.unsure.discard(id)


def child(url: str, number: int) -> None:
    """What a forked process does: it has connections of its own."""
    with open_memory_db(url) as db:
        for n in range(10):
            db.upsert_memory(MemoryRow({"value": n}, f"{number}-{n}", "children"))


async def disturb(backend: Backend, url: str, seconds: float) -> int:
    """Restart the server twice, and fork; return how many children have written."""
    forks, begun = 0, time.monotonic()
    restarts = [seconds * 0.4, seconds * 0.7] if backend.name in RESTARTS else []
    while (passed := time.monotonic() - begun) < seconds * 0.85:
        if restarts and passed > restarts[0]:
            restarts.pop(0)
            await asyncio.to_thread(RESTARTS[backend.name], backend.server)
        process = multiprocessing.get_context("fork").Process(target=child, args=(url, forks))
        process.start()
        await asyncio.to_thread(process.join, 60)
        forks += process.exitcode == 0
        await asyncio.sleep(seconds / 20)
    return forks


async def soak(backend: Backend, url: str, seconds: float, tasks: int) -> bool:
    """Let the tasks work; say what came of it, and return whether it is sound."""
    async with open_async_memory_db(url) as db:
        await db.create()
        workers = [Worker(db, number) for number in range(tasks)]
        until = time.monotonic() + seconds
        running = [asyncio.create_task(worker.work(until)) for worker in workers]
        disturbing = asyncio.create_task(disturb(backend, url, seconds))
        await asyncio.sleep(seconds / 3)
        before = Usage.now()
        await asyncio.gather(*running)
        after, forks = Usage.now(), await disturbing
        await asyncio.sleep(SHORT)
        await db.sweep()
        lost = sum([await differences(db, worker) for worker in workers])
        missing = forks * 10 - await db.count_memories("children")
    calls = sum(worker.ledger.calls for worker in workers)
    errors = sum((worker.ledger.errors for worker in workers), Counter[str]())
    sound = lost == 0 and missing <= 0 and not after.has_grown(before)
    pairs = zip(Usage._fields, before, after, strict=True)
    grown = [f"{name} {then:.0f} → {now:.0f}" for name, then, now in pairs]
    say(
        f"{backend.name}: {calls:,} calls of {tasks} tasks, {forks} forks; lost or changed: "
        f"{lost}, of the children: {max(0, missing)}; errors: {dict(errors)}; {', '.join(grown)}: "
        f"{'sound' if sound else 'NOT SOUND'}"
    )
    return sound


async def differences(db: Any, worker: Worker) -> int:
    """Return how many rows of a user are not what its ledger says."""
    rows = [row async for row in db.iter_memories(worker.user)]
    stored = {row.id: row.memory["value"] for row in rows if "value" in row.memory}
    known = worker.ledger.rows
    stored |= {row.id: None for row in rows if row.expires_at is not None}  # It has ended.
    lost = sum(stored.get(id) != value for id, value in known.items())
    return lost + len(stored.keys() - known.keys() - worker.ledger.unsure)


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run soak", description=__doc__)
    parser.add_argument("backend", nargs="*", choices=[*BACKENDS, []])
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tasks", type=int, default=200)
    given = parser.parse_args()
    sound = True
    for name in given.backend or BACKENDS:
        with started(name) as backend, tempfile.TemporaryDirectory() as folder:
            os.environ.update(backend.environment)
            url = backend.url(Path(folder))
            sound &= asyncio.run(soak(backend, url, given.seconds, given.tasks))
    sys.exit(not sound)


if __name__ == "__main__":
    main()
