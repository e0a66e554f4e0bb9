"""BuddyStore on every backend: what no suite for stores in general tries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.errors import ConfigError, UnavailableError
from buddy_memory_langgraph import BuddyStore
from buddy_memory_langgraph.store import store as configured_store


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


def test_both_sides_in_memory() -> None:
    """The two sides of a store in memory see the same items."""
    with BuddyStore("memory://") as store:
        store.put(("a",), "k", {"v": 1})
        assert asyncio.run(store.aget(("a",), "k")) is not None
