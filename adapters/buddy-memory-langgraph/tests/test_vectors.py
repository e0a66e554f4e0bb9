"""BuddyStore with an index, on every backend: search by meaning."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import numpy
import pytest
from langgraph.store.base import IndexConfig, PutOp
from langmem import create_manage_memory_tool, create_search_memory_tool

from buddy_memory_langgraph import BuddyStore


def letters(texts: list[str]) -> list[list[float]]:
    """Embed texts by how often they have five letters."""
    return [[float(text.count(letter)) + 0.01 for letter in "aeiou"] for text in texts]


INDEX: IndexConfig = {"dims": 5, "embed": letters, "fields": ["title", "notes[*].text"]}


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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_no_number(value: float) -> None:
    """A vector with what is no float32 number is refused, of an item and of a query."""
    vectors = [[1.0, 2.0], [1.0, value]]
    with BuddyStore("memory://", index={"dims": 2, "embed": lambda _: [vectors[0]]}) as store:
        store.put(("n",), "k", {"text": "a"})
        vectors.reverse()
        with pytest.raises(ValueError, match="NaN or infinity"):
            store.put(("n",), "other", {"text": "b"})
        with pytest.raises(ValueError, match="NaN or infinity"):
            store.search(("n",), query="a")
        assert store.get(("n",), "other") is None


def test_scores_are_floats(url: str) -> None:
    """Scores are Python's floats, whatever numbers the model gives, and items become JSON."""

    def embed(texts: list[str]) -> Any:
        return numpy.array([[3, 4]] * len(texts), dtype="float32")

    with BuddyStore(url, index={"dims": 2, "embed": embed}) as store:
        store.put(("n",), "k", {"text": "a"})
        [item] = store.search(("n",), query="a")
        assert type(item.score) is float
        assert json.loads(json.dumps(item.dict()))["score"] == pytest.approx(1)


def test_loop_goes_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While vectors are compared, the event loop does other things."""
    compared, gone_on = threading.Event(), threading.Event()

    def waiting(*_: Any) -> float:
        compared.set()
        return 1.0 if gone_on.wait(10) else 0.0

    async def go() -> None:
        async with BuddyStore(url, index=INDEX) as store:
            await store.aput(("n",), "k", {"title": "aaa"})
            search = asyncio.create_task(store.asearch(("n",), query="a"))
            assert await asyncio.to_thread(compared.wait, 30)
            gone_on.set()
            [item] = await search
            assert item.score == 1.0

    monkeypatch.setattr("buddy_memory_langgraph.operations.best_cosine", waiting)
    asyncio.run(go())


def test_many_vectors(url: str) -> None:
    """The nearest of many items is found wherever it stands, and every item is counted once."""
    with BuddyStore(url, index={"dims": 5, "embed": letters, "fields": ["title"]}) as store:
        puts = [PutOp(("n",), f"{number:03}", {"title": "u" * number}) for number in range(400)]
        puts[170] = PutOp(("n",), "nearest", {"title": "aaaaaa"})
        store.batch(puts)
        found = store.search(("n",), query="aaaa", limit=1000)
        assert found[0].key == "nearest"
        assert len({item.key for item in found}) == len(found) == 400
