"""Rows that end while something goes wrong: a clock, or who sweeps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest

from buddy.memory import KEEP, MemoryRow, open_memory_db
from buddy.memory.storage.clock import utc_now
from buddy.memory.testing.assertions import clock
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.servers.backends import NAMES, Backend

BY_THE_SERVER = ("postgres", "mongo", "redis", "redis cluster")
ROWS = 3_000

SWEEP = """
import sys
from buddy.memory import open_memory_db
open_memory_db(sys.argv[1]).sweep(lambda removed: print(removed, flush=True))
"""


@pytest.fixture
def url(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    return backend.url(tmp_path)


@pytest.fixture
def db(url: str) -> Iterator[StoreBackedMemoryDb]:
    with open_memory_db(url) as db:
        assert isinstance(db, StoreBackedMemoryDb)
        yield db


@pytest.mark.parametrize("backend", BY_THE_SERVER, indirect=True)
@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_that_is_wrong(db: StoreBackedMemoryDb, minutes: int) -> None:
    """Rows end by the server's clock, whatever the client's says when it writes and reads."""
    wrong = timedelta(minutes=minutes)
    before = utc_now()
    with clock(before + wrong):
        db.upsert_memory(MemoryRow({}, "stays", "ann"), ttl=60)
        db.upsert_memories([MemoryRow({}, "gone", "ann"), MemoryRow({}, "kept", "ann")], ttl=0.2)
        db.touch_memories(["kept"], user_id="ann", ttl=60)
        stays = db.upsert_memory(MemoryRow({"n": 2}, "stays", "ann"), ttl=KEEP)
        deadline = monotonic() + 30
        while db.read_memory("gone", user_id="ann") is not None:
            assert monotonic() < deadline
            sleep(0.02)
        assert {row.id for row in db.read_memories("ann")} == {"stays", "kept"}
        assert db.count_memories("ann") == 2
        again = db.upsert_memory(MemoryRow({}, "gone", "ann"), if_version=0, ttl=60)
        assert (again.version, stays.version) == (1, 2)
        assert db.sweep() == 0
        for row in db.read_memories("ann"):
            assert row.expires_at is not None
            lives = row.expires_at - utc_now()
            assert timedelta(0) < lives < timedelta(seconds=90)


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "memory"], indirect=True)
def test_a_sweeper_that_is_killed(backend: Backend, db: StoreBackedMemoryDb, url: str) -> None:
    """What lives is there, what ended is not, and the next sweep removes the rest."""
    ended = utc_now() - timedelta(hours=1)
    rows = [MemoryRow({}, str(n), "ann", expires_at=ended) for n in range(ROWS)]
    rows[::3] = [MemoryRow({}, f"stays {n}", "ann") for n in range(ROWS // 3)]
    db.restore_memories(rows)
    sweeper = subprocess.Popen(
        [sys.executable, "-c", SWEEP, url],
        stdout=subprocess.PIPE,
        env={**os.environ, **backend.environment},
    )
    assert sweeper.stdout is not None
    with sweeper:
        sweeper.stdout.readline()
        sweeper.kill()
    assert db.count_memories("ann") == ROWS // 3
    assert all((row.id or "").startswith("stays") for row in db.iter_memories("ann"))
    db.sweep()
    assert db.expired_rows()[0] == 0
    assert db.sweep() == 0
    assert db.delete_user("ann")["memories"] == ROWS // 3
