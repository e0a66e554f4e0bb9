"""What callers may ask for as the end of rows, and how the parts of core pass it on."""

from __future__ import annotations

import pickle
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from buddy.memory import KEEP, NEVER, Memory, MemoryRow, UserMemory, open_memory_db
from buddy.memory.agent import AgentMemory
from buddy.memory.errors import ConfigError, InvalidMemoryError, UnsupportedError
from buddy.memory.search.embedder import Embedder
from buddy.memory.storage.expiry import End, next_step, parse_ttl
from buddy.memory.testing.assertions import clock
from buddy.memory.v2.db.threaded import ThreadedMemoryDb
from tests.core.eight_methods import EightMethodMemoryDb

NOW = datetime(2026, 5, 4, 3, 2, 1, 5, timezone.utc)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("ttl", "default", "end"),
    [
        (None, None, End(own=True)),
        (None, HOUR, End(HOUR)),
        (KEEP, None, End(keep=True)),
        (KEEP, HOUR, End(HOUR, keep=True)),
        (NEVER, HOUR, End()),
        (60, HOUR, End(timedelta(minutes=1))),
        (0.25, None, End(timedelta(milliseconds=250))),
        (timedelta(days=9), None, End(timedelta(days=9))),
    ],
)
def test_what_decides_the_end(ttl: Any, default: timedelta | None, end: End) -> None:
    """A ttl comes before the store's default, and that before the row's own end."""
    assert parse_ttl(ttl, default, NOW) == end


@pytest.mark.parametrize("ttl", [0, -1, 1e-9, float("nan"), float("inf"), 1e300, True, "5", b""])
def test_what_is_no_ttl(ttl: Any) -> None:
    """What is no positive duration within the calendar is a ConfigError."""
    with pytest.raises(ConfigError, match="ttl"):
        parse_ttl(ttl, None, NOW)


@pytest.mark.parametrize("ending", [KEEP, NEVER])
def test_keep_and_never_are_one_object_each(ending: Any) -> None:
    """Copies and pickles of KEEP and NEVER are these themselves."""
    assert deepcopy(ending) is pickle.loads(pickle.dumps(ending)) is ending  # noqa: S301
    assert repr(ending) in ("KEEP", "NEVER")


@pytest.mark.parametrize("config", ["memory://?expire=3600", "sqlite://?expire=3600"])
def test_the_default_of_a_store(config: str) -> None:
    """With ``expire`` each write gives an end, unless it says otherwise."""
    with open_memory_db(config) as db:
        row = db.upsert_memory(MemoryRow({}, "a", "ann"))
        assert row.expires_at is not None
        assert abs(row.expires_at - datetime.now(timezone.utc) - HOUR) < timedelta(minutes=1)
        (again,) = db.upsert_memories([MemoryRow({"n": 2}, "a", "ann")], ttl=KEEP)
        assert again.expires_at == row.expires_at
        assert db.upsert_memory(MemoryRow({}, "a", "ann"), ttl=NEVER).expires_at is None


@pytest.mark.parametrize("expire", [0, -5, "soon", True])
def test_a_wrong_default(expire: Any) -> None:
    """A wrong ``expire`` is refused when the database is opened."""
    with pytest.raises(ConfigError, match="expire"):
        open_memory_db("sqlite", expire=expire)


def test_an_end_that_has_passed_is_refused() -> None:
    """A row whose own end has passed is not stored; a ttl comes before it."""
    with open_memory_db("memory://") as db:
        row = MemoryRow({}, "a", "ann", expires_at=NOW - HOUR)
        with clock(NOW):
            with pytest.raises(InvalidMemoryError, match="expires_at"):
                db.upsert_memory(row)
            assert db.upsert_memory(row, ttl=60).expires_at == NOW + timedelta(minutes=1)
            assert db.read_memory("a") is not None
        with clock(NOW + timedelta(minutes=1)):
            assert db.read_memory("a") is None


def test_a_row_given_twice_ends_as_the_later_one() -> None:
    """Of a row that stands twice in a bulk call, content, end and vector are the later one's."""
    embedder = Embedder(lambda texts: [[float(len(text)), 1.0] for text in texts], model="length")
    with open_memory_db("memory://", embedder=embedder) as db:
        later = datetime(2999, 1, 1, tzinfo=timezone.utc)
        rows = [
            MemoryRow({"memory": "a"}, "a", "ann"),
            MemoryRow({"memory": "longer"}, "a", "ann", expires_at=later),
        ]
        db.upsert_memories(rows)
        (result,) = db.search_memories("longer", user_id="ann", method="semantic")
        assert (result.row.expires_at, result.cosine) == (later, 1.0)


def test_a_database_of_eight_methods_keeps_no_ends() -> None:
    """It says so of each call, before anything is stored."""
    db = EightMethodMemoryDb("ends")
    assert db.keeps_ends is ThreadedMemoryDb(db).keeps_ends is False
    for call in (
        lambda: db.upsert_memories([MemoryRow({"memory": "a"}, "a", "ann")], ttl=60),
        lambda: db.touch_memories(["a"], user_id="ann", ttl=60),
        db.sweep,
        lambda: Memory(db, ttl=60),
    ):
        with pytest.raises(UnsupportedError, match="end"):
            call()
    assert db.read_memories() == []
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("likes tea"), "ann")
    assert memory.replace_user_memory(id, UserMemory("likes coffee"), "ann") == id


@pytest.mark.parametrize("cls", [Memory, AgentMemory])
def test_memory_objects_give_ends(cls: Any) -> None:
    """New memories and summaries live for ``ttl``; what is changed keeps its end."""
    memory = cls("memory://", ttl=3600)
    manager = memory._sync
    from buddy.memory.storage.sync_runner import run

    id = run(manager.add(UserMemory("likes tea"), "ann"))
    before = memory.db.read_memory(id, user_id="ann").expires_at
    assert before is not None
    run(manager.replace(id, UserMemory("likes coffee"), "ann"))
    after = memory.db.read_memory(id, user_id="ann")
    assert (after.expires_at, after.memory["memory"]) == (before, "likes coffee")
    said = [{"role": "user", "content": "I like tea."}]
    for _ in range(2):
        run(manager.summarise("monday", "ann", said, True))
    summary = memory.db.read_summary("monday", user_id="ann")
    assert summary.version == 2
    assert summary.expires_at is not None
    memory.close()


def test_a_memory_with_a_ttl_of_its_own() -> None:
    """``ttl`` of add_user_memory comes before that of the memory object."""
    memory = Memory("memory://", ttl=3600)
    id = memory.add_user_memory(UserMemory("likes tea"), "ann", ttl=NEVER)
    assert memory.db.read_memory(id, user_id="ann").expires_at is None
    with pytest.raises(ConfigError, match="ttl"):
        Memory("memory://", ttl=-1)


@pytest.mark.parametrize(
    ("step", "seconds", "following"),
    [
        (1_000, 0.035, 1_000),
        (1_000, 0.05, 700),
        (1_000, 9.0, 500),  # One slow step may be an accident.
        (400, 0.028, 500),
        (400, 0.001, 800),
        (800, 0.0, 1_000),
        (150, 1.0, 100),
    ],
)
def test_steps_of_a_sweep(step: int, seconds: float, following: int) -> None:
    """A step that took long is followed by a smaller one, down to a hundred rows, and a short one
    by a larger one, up to the store's own."""
    assert next_step(step, seconds, 1_000) == following
