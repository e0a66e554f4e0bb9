"""What ends, on every backend: what reading does to a lifetime, and the sweeper."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from buddy.memory import open_memory_db
from buddy.memory.errors import ConfigError
from buddy.memory.v2.db.inmemory import InMemoryDb
from buddy_memory_langgraph import BuddyStore


def test_sweeper(url: str) -> None:
    """The sweeper can be started twice, and stops."""
    with BuddyStore(url, ttl={"default_ttl": 60, "refresh_on_read": True}) as store:
        store.put(("a",), "k", {})
        store.start_ttl_sweeper()
        store.start_ttl_sweeper()
        assert store.stop_ttl_sweeper(30)
        assert store.get(("a",), "k") is not None


def test_refresh_undoes_no_writer(url: str) -> None:
    """Reading with a refresh changes neither the value nor the version of a row."""
    with open_memory_db(url) as db:
        store = BuddyStore(db, ttl={"default_ttl": 60, "refresh_on_read": True})
        store.put(("a",), "k", {"v": 1})
        before = db.read_memory("k", user_id="langgraph/a/")
        store.get(("a",), "k")
        store.search(("a",))
        after = db.read_memory("k", user_id="langgraph/a/")
        assert before is not None
        assert after is not None
        assert (after.version, after.last_updated) == (before.version, before.last_updated)
        assert after.expires_at is not None
        assert before.expires_at is not None
        assert after.expires_at > before.expires_at


@pytest.mark.parametrize(
    ("ttl", "refresh_ttl", "extends"),
    [
        (None, None, True),
        (None, False, False),
        ({"default_ttl": 5}, None, False),
        ({"default_ttl": 5}, True, True),
        ({"refresh_on_read": False}, None, False),
        ({"refresh_on_read": False}, True, True),
        ({"refresh_on_read": True}, None, True),
        ({"refresh_on_read": True}, False, False),
    ],
)
def test_reading_extends(url: str, ttl: Any, refresh_ttl: bool | None, extends: bool) -> None:
    """An operation says whether reading extends a lifetime, else the store's ``ttl``; one that does
    not mention it does not, none at all does."""
    with open_memory_db(url) as db:
        store = BuddyStore(db, ttl=ttl)
        store.put(("a",), "k", {}, ttl=60)
        for read in (
            lambda: store.get(("a",), "k", refresh_ttl=refresh_ttl),
            lambda: store.search(("a",), refresh_ttl=refresh_ttl),
            lambda: asyncio.run(store.aget(("a",), "k", refresh_ttl=refresh_ttl)),
        ):
            db.touch_memories(["k"], user_id="langgraph/a/", ttl=60)
            read()
            row = db.read_memory("k", user_id="langgraph/a/")
            assert row is not None
            assert row.expires_at is not None
            in_minutes = (row.expires_at - datetime.now(timezone.utc)) / timedelta(minutes=1)
            assert (in_minutes > 30) is extends


@pytest.mark.parametrize("minutes", [-1, 0, "5", float("nan"), True])
def test_sweep_intervals(minutes: Any) -> None:
    """What is no interval starts no sweeper."""
    with BuddyStore("memory://") as store:
        with pytest.raises(ConfigError, match="sweep_interval_minutes must be a number of minutes"):
            store.start_ttl_sweeper(minutes)
        assert store._sweeper is None


def test_long_sweep_interval() -> None:
    """An interval that is longer than a thread can wait is one that never ends."""
    with BuddyStore("memory://") as store:
        store.start_ttl_sweeper(1e9)
        assert store.stop_ttl_sweeper(0) in (True, False)
        assert store.stop_ttl_sweeper(30)


def test_sweeper_of_closed_database(caplog: pytest.LogCaptureFixture) -> None:
    """A database that somebody closed ends the sweeper, and no error is logged."""
    db = InMemoryDb()
    store = BuddyStore(db)
    db.close()
    store.start_ttl_sweeper(1e-6)
    assert store._sweeper is not None
    store._sweeper.join(30)
    ended = not store._sweeper.is_alive()
    store.close()
    assert ended
    assert caplog.records == []
