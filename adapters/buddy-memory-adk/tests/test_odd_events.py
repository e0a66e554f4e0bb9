"""Events that hold what a database does not take, and rows that another program wrote."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.genai.types import Content, FunctionResponse, Part

from adapters.adk_sessions import said, session, texts
from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.testing.assertions import logged
from buddy_memory_adk import BuddyMemoryService

ANN: Any = {"app_name": "app", "user_id": "ann"}


def answer(value: Any) -> Content:
    """Return a text together with what a function answered."""
    answered = FunctionResponse(name="f", response={"value": value})
    return Content(parts=[Part(text="odd tea"), Part(function_response=answered)])


def deep() -> Any:
    value: Any = "bottom"
    for _ in range(70):
        value = [value]
    return value


def circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [10**20, deep()], ids=["an int of 67 bits", "70 levels"])
def test_values_outside_rule_8(url: str, value: Any) -> None:
    """What rule R8 refuses is stored all the same, of events and memories, and read back equal."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        odd = Event(author="agent", content=answer(value))
        with logged() as warnings:
            await memory.add_session_to_memory(session(said("good tea"), odd))
            await memory.add_memory(**ANN, memories=[MemoryEntry(content=answer(value))])
        assert warnings == []
        found = (await memory.search_memory(**ANN, query="tea")).memories
        assert [entry.content for entry in found[:2]] == [answer(value)] * 2
        assert found[2].content.parts[0].text == "good tea"  # type: ignore[index]
        await memory.close()

    asyncio.run(go())


@pytest.mark.parametrize("value", [object(), circle(), 10**5000], ids=["object", "circle", "int"])
def test_what_is_no_json(url: str, value: Any) -> None:
    """Of an event that no JSON can hold the texts are stored, with one warning that names it; one
    without texts is left out as others are."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        odd = Event(author="agent", id="2", content=answer(value))
        silent = Event(author="agent", content=Content(parts=answer(value).parts[1:]))  # type: ignore[index]
        with logged() as warnings:
            await memory.add_session_to_memory(session(said("good tea", id="1"), odd, silent))
        [warning] = warnings
        assert "stored only the texts of 's/2/'" in warning
        found = await memory.search_memory(**ANN, query="tea")
        assert sorted(texts(found)) == ["good tea", "odd tea"]
        await memory.close()

    asyncio.run(go())


@pytest.mark.parametrize("time", [1e18, -1e12, float("nan"), float("inf")])
def test_odd_times(url: str, time: float) -> None:
    """An event with a time that no calendar has is stored without a time."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        await memory.add_session_to_memory(session(said("tea", timestamp=time)))
        [entry] = (await memory.search_memory(**ANN, query="tea")).memories
        assert entry.timestamp is None
        await memory.close()

    asyncio.run(go())


def test_odd_ids(url: str) -> None:
    """Events whose ids, or those of their session, hold what no key may hold are stored apart."""
    ids = ["\0", "%0000", "0000", "\ud83d", "%D83D", "\udc00"]

    async def go() -> None:
        memory = BuddyMemoryService(url)
        for id in ids[::-1]:
            await memory.add_session_to_memory(
                session(*(said("tea", id=one) for one in ids), id=id)
            )
        assert await memory.forget_user(**ANN) == {"memories": 36, "summaries": 0}
        await memory.close()

    asyncio.run(go())


def test_too_large(url: str) -> None:
    """An event that is too large for the backend is left out, with one warning that names it."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        large = said("odd tea " + "x" * 2_000_000, id="2")
        with logged() as warnings:
            await memory.add_session_to_memory(session(large, said("good tea", id="1")))
        found = texts(await memory.search_memory(**ANN, query="tea"))
        assert "good tea" in found
        assert len(found) + len(warnings) == 2
        assert all("left out the event 's/2/'" in warning for warning in warnings)
        await memory.close()

    asyncio.run(go())


def test_metadata(url: str) -> None:
    """Metadata that cannot be stored are an error of the call, and nothing is stored."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        with pytest.raises(InvalidMemoryError, match=r"custom_metadata\.n"):
            await memory.add_events_to_memory(
                **ANN, events=[said("tea")], custom_metadata={"n": 10**20}
            )
        assert (await memory.search_memory(**ANN, query="tea")).memories == []
        await memory.close()

    asyncio.run(go())


@pytest.mark.parametrize(
    "payload",
    [
        {"memory": "tea"},
        {"memory": "tea", "content": {"parts": 5}},
        {"memory": "tea", "content": "{"},
    ],
    ids=["other keys", "another content", "no JSON text"],
)
def test_rows_of_others(url: str, payload: dict[str, Any]) -> None:
    """A row that another program wrote is skipped with one warning, takes no memory's place, and
    is left as it is."""

    async def go() -> None:
        memory = BuddyMemoryService(url, max_results=1)
        await memory.add_session_to_memory(session(said("tea and milk", id="1")))
        with open_memory_db(url) as db:
            db.upsert_memory(MemoryRow({**payload, "session": "s"}, "s/2/", "adk/app/ann/"))
            with logged() as warnings:
                assert texts(await memory.search_memory(**ANN, query="tea")) == ["tea and milk"]
            assert len(warnings) == 1
            assert "'s/2/'" in warnings[0]
            await memory.delete_memory(**ANN, memory_id="s/2/")
            await memory.add_session_to_memory(session(said("mine", id="2")))
            row = db.read_memory("s/2/", user_id="adk/app/ann/")
            assert row is not None
            assert row.memory == {**payload, "session": "s"}
        await memory.close()

    asyncio.run(go())


def test_a_damaged_row(tmp_path: Path) -> None:
    """A damaged row is named in one warning, and the other events of its session are stored."""
    path = tmp_path / "memory.db"

    async def go() -> None:
        memory = BuddyMemoryService(f"sqlite:///{path}")
        first = said("green tea", id="1")
        await memory.add_session_to_memory(session(first))
        with closing(sqlite3.connect(path)) as file, file:
            file.execute("UPDATE memory SET memory = '{'")
        with logged() as warnings:
            await memory.add_session_to_memory(session(first, said("black tea", id="2")))
        [warning] = warnings
        assert "'s/1/'" in warning
        assert texts(await memory.search_memory(**ANN, query="tea")) == ["black tea"]
        await memory.close()

    asyncio.run(go())
