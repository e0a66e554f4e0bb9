"""BuddyStore on every backend: what no suite for stores in general tries."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from buddy.memory import MemoryRow, open_memory_db, register
from buddy.memory.errors import ClosedError, ConfigError, UnavailableError
from buddy.memory.testing.assertions import logged
from buddy_memory_langgraph import BuddyStore
from buddy_memory_langgraph.store import store as configured_store
from tests.core.eight_methods import EightMethodMemoryDb
from tests.docs import play

_numbers = count()


class State(TypedDict):
    user: str
    said: str
    known: list[str]


def remember(state: State) -> dict[str, Any]:
    """A node that notes what was said, and reads all that the user ever said."""
    store = get_store()
    store.put(("memories", state["user"]), state["said"], {"text": state["said"]})
    found = store.search(("memories", state["user"]), limit=10)
    return {"known": sorted(item.key for item in found)}


def test_graph(url: str) -> None:
    """Nodes of a real graph share what they put, run after run, and users are apart."""
    builder = StateGraph(State)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    builder.add_edge("remember", END)
    with BuddyStore(url) as store:
        graph = builder.compile(store=store)
        graph.invoke({"user": "ann", "said": "tea", "known": []})
        graph.invoke({"user": "bob", "said": "milk", "known": []})
        asked = graph.invoke({"user": "ann", "said": "cake", "known": []})
        assert asked["known"] == ["cake", "tea"]
    with BuddyStore(url) as store:
        assert store.list_namespaces() == [("memories", "ann"), ("memories", "bob")]


def test_other_rows_stay(url: str) -> None:
    """Memories of agents in the same database are neither found nor listed."""
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": "Likes tea."}, "m", "ann"))
        store = BuddyStore(db)
        store.put(("ann",), "m", {"mine": True})
        assert [item.value for item in store.search(())] == [{"mine": True}]
        assert store.list_namespaces() == [("ann",)]
        store.close()
        assert db.count_memories("ann") == 1


def test_outage() -> None:
    """A database that cannot be reached is an error, and no empty answer."""
    with BuddyStore("redis://127.0.0.1:1") as store:
        for call in (
            lambda: store.get(("a",), "k"),
            lambda: store.search(("a",)),
            lambda: store.list_namespaces(),
        ):
            with pytest.raises(UnavailableError):
                call()


def test_configured_store(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module for langgraph.json opens what BUDDY_MEMORY_URL names, and says when it is not
    set."""

    async def go() -> None:
        async with configured_store() as store:
            await store.aput(("a",), "k", {"v": 1})
            item = await store.aget(("a",), "k")
            assert item is not None

    monkeypatch.delenv("BUDDY_MEMORY_URL", raising=False)
    with pytest.raises(ConfigError, match="BUDDY_MEMORY_URL"):
        asyncio.run(go())
    monkeypatch.setenv("BUDDY_MEMORY_URL", url)
    asyncio.run(go())


def test_path_in_readme() -> None:
    """The path for langgraph.json leads to the store as LangGraph looks for it: a colon is for
    files, a module's parts have dots."""
    page = Path(__file__).parents[1] / "README.md"
    block = next(block for block in play.blocks(page) if block.kind == "json")
    module, _, name = json.loads(block.code)["store"]["path"].rpartition(".")
    assert vars(importlib.import_module(module))[name] is configured_store


class OwnRows(EightMethodMemoryDb):
    """Each object is a database of its own."""

    def __init__(self) -> None:
        super().__init__(f"own {next(_numbers)}")


@pytest.mark.parametrize(
    "config",
    [
        "memory://",
        "sqlite",
        "sqlite://",
        "sqlite:///:memory:",
        {"backend": "sqlite"},
        "own-rows",
    ],
    ids=str,
)
def test_both_sides_in_memory(config: Any) -> None:
    """The two sides of a store that lies in memory see the same items."""
    register("own-rows", OwnRows)

    async def go(store: BuddyStore) -> None:
        assert await store.aget(("a",), "sync") is not None
        await store.aput(("a",), "async", {})

    with BuddyStore(config) as store:
        store.put(("a",), "sync", {})
        asyncio.run(go(store))
        assert store.get(("a",), "async") is not None


def test_closed(url: str) -> None:
    """After ``close`` no call of either side works, and so it is after ``aclose``."""

    async def opened(close: Callable[[BuddyStore], Any]) -> BuddyStore:
        store = BuddyStore(url)
        await store.aput(("a",), "k", {})
        await asyncio.to_thread(store.put, ("a",), "k", {})
        closing = close(store)
        if closing is not None:
            await closing
        with pytest.raises(ClosedError):
            await store.aget(("a",), "k")
        return store

    async def go() -> None:
        for close in (BuddyStore.close, BuddyStore.aclose):
            store = await opened(close)
            for call in (
                lambda store=store: store.get(("a",), "k"),
                store.sweep_ttl,
                store.start_ttl_sweeper,
            ):
                with pytest.raises(ClosedError):
                    await asyncio.to_thread(call)
            await store.aclose()

    asyncio.run(go())


def test_rows_of_others(url: str) -> None:
    """A row that another program wrote under a namespace is skipped with a warning, and takes no
    item's place."""
    with BuddyStore(url) as store, open_memory_db(url) as db:
        for n in range(3):
            store.put(("a",), f"item {n}", {"n": n})
            db.upsert_memory(MemoryRow({"memory": "mine"}, f"other {n}", "langgraph/a/"))
        with logged() as warnings:
            assert store.get(("a",), "other 0") is None
            found = store.search(("a",), limit=2)
            assert [item.key for item in found] == ["item 2", "item 1"]
            assert [item.key for item in store.search(("a",), filter={"n": 0})] == ["item 0"]
        assert "'other 0' of the user 'langgraph/a/': no item" in warnings[0]
        assert db.count_memories("langgraph/a/") == 6
