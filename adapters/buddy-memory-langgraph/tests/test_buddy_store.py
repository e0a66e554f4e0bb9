"""BuddyStore on every backend: what no suite for stores in general tries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.config import get_store
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import IndexConfig
from langmem import create_manage_memory_tool, create_search_memory_tool
from typing_extensions import TypedDict

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.errors import ConfigError, UnavailableError
from buddy_memory_langgraph import BuddyStore
from buddy_memory_langgraph.store import store as configured_store


def letters(texts: list[str]) -> list[list[float]]:
    """Embed texts by how often they have five letters."""
    return [[float(text.count(letter)) + 0.01 for letter in "aeiou"] for text in texts]


INDEX: IndexConfig = {"dims": 5, "embed": letters, "fields": ["title", "notes[*].text"]}


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


def test_langmem(url: str) -> None:
    """LangMem's tools write and find memories, sync and async."""

    async def found(search: Any) -> str:
        return str(await search.ainvoke({"query": "aaa"}))

    with BuddyStore(url, index={"dims": 5, "embed": letters}) as store:
        manage = create_manage_memory_tool(("memories",), store=store)
        search = create_search_memory_tool(("memories",), store=store)
        manage.invoke({"content": "banana", "action": "create"})
        manage.invoke({"content": "kiwi", "action": "create"})
        assert "banana" in str(search.invoke({"query": "aaa", "limit": 1}))
        assert "kiwi" in asyncio.run(found(search))


def test_meaning(url: str) -> None:
    """The nearest of an item's texts ranks it; one that is not indexed comes last, without a
    score."""
    with BuddyStore(url, index=INDEX) as store:
        store.put(("n",), "title", {"title": "aaa", "notes": [{"text": "uuu"}]})
        store.put(("n",), "note", {"title": "ooo", "notes": [{"text": "eee"}, {"text": "aao"}]})
        store.put(("n",), "hidden", {"title": "aaa"}, index=False)
        store.put(("n",), "own", {"title": "aaa", "own": "iii"}, index=["own"])
        found = store.search(("n",), query="aaaa")
        assert [item.key for item in found] == ["title", "note", "own", "hidden"]
        scores = [item.score for item in found]
        assert scores[0] == pytest.approx(1, abs=1e-4)
        assert scores[3] is None
        assert [i.key for i in store.search(("n",), query="aaaa", limit=1, offset=1)] == ["note"]


def test_model_fails(url: str) -> None:
    """An error of the model is the caller's, and nothing is stored; so is a wrong vector."""

    def broken(texts: list[str]) -> list[list[float]]:
        raise RuntimeError("no model")

    for embed, kind in ((broken, RuntimeError), (lambda texts: [[1.0]] * len(texts), ValueError)):
        with BuddyStore(url, index={"dims": 5, "embed": embed}) as store:
            with pytest.raises(kind):
                store.put(("n",), "k", {"text": "a"})
            assert store.get(("n",), "k") is None


def test_another_model(url: str) -> None:
    """Vectors of a model with other dimensions count as none."""
    with BuddyStore(url, index=INDEX) as store:
        store.put(("n",), "k", {"title": "aaa"})
    with BuddyStore(url, index={"dims": 1, "embed": lambda texts: [[1.0]] * len(texts)}) as store:
        [item] = store.search(("n",), query="a")
        assert item.score is None


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
