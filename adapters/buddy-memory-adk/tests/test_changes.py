"""What happens to memories that are there already: by their ids, and by their session."""

from __future__ import annotations

import asyncio
from typing import Any

from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.genai.types import Content, FunctionCall, Part

from adapters.adk_sessions import said, session, texts
from buddy_memory_adk import BuddyMemoryService

ANN: Any = {"app_name": "app", "user_id": "ann"}


def remembered(text: str, id: str | None = None) -> MemoryEntry:
    return MemoryEntry(content=Content(parts=[Part(text=text)]), id=id)


def test_one_id(url: str) -> None:
    """The id that add_memory took is the one that a search gives and that delete_memory takes."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        await memory.add_memory(**ANN, memories=[remembered("cherry pie", "a/1")])
        [found] = (await memory.search_memory(**ANN, query="cherry")).memories
        assert found.id == "a/1"
        await memory.delete_memory(**ANN, memory_id="a/1")
        assert texts(await memory.search_memory(**ANN, query="cherry")) == []
        await memory.close()

    asyncio.run(go())


def test_found_changed_and_added(url: str) -> None:
    """A memory that was found, changed and added replaces what was found, event or not."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        monday = session(said("cherry juice", id="1"))
        await memory.add_session_to_memory(monday)
        await memory.add_memory(**ANN, memories=[remembered("cherry pie")])
        for entry in (await memory.search_memory(**ANN, query="cherry")).memories:
            entry.content = Content(parts=[Part(text="plum cake")])
            await memory.add_memory(**ANN, memories=[entry])
        await memory.add_session_to_memory(monday)
        assert texts(await memory.search_memory(**ANN, query="cherry plum")) == ["plum cake"] * 2
        await memory.close()

    asyncio.run(go())


def test_ids_of_their_own(url: str) -> None:
    """An event without a session and a memory of the same id are two memories, in either order."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        for id in "xy":
            await memory.add_events_to_memory(**ANN, events=[said("tea", id="x")])
            await memory.add_memory(**ANN, memories=[remembered("tea", id)])
            await memory.add_events_to_memory(**ANN, events=[said("tea", id="y")])
        assert len(texts(await memory.search_memory(**ANN, query="tea"))) == 4
        await memory.close()

    asyncio.run(go())


def test_a_session_that_changed(url: str) -> None:
    """A session added again replaces the events that it changed, and takes away the text of those
    that have none now; what it does not hold any more stays."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        before = [said("an apple", id="1"), said("a pear", id="2"), said("a plum", id="3")]
        await memory.add_events_to_memory(
            **ANN, session_id="s", events=before[:1], custom_metadata={"source": "chat"}
        )
        await memory.add_session_to_memory(session(*before))
        await memory.add_events_to_memory(**ANN, session_id="s", events=[said("a fig", id="1")])
        assert texts(await memory.search_memory(**ANN, query="apple fig")) == ["an apple"]

        call = Content(parts=[Part(function_call=FunctionCall(name="f", args={}))])
        after = [said("an orange", id="1"), Event(author="user", id="3", content=call)]
        await memory.add_session_to_memory(session(*after))
        found = await memory.search_memory(**ANN, query="apple orange pear plum")
        assert sorted(texts(found)) == ["a pear", "an orange"]
        [orange] = (await memory.search_memory(**ANN, query="orange")).memories
        assert orange.custom_metadata == {"source": "chat"}
        await memory.close()

    asyncio.run(go())


def test_nothing_to_replace(url: str) -> None:
    """A session added again as it was writes nothing."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        odd = Event(
            author="user",
            id="1",
            content=Content(
                parts=[Part(text="big"), Part(function_call=FunctionCall(args={"n": 10**20}))]
            ),
        )
        monday = session(odd, said("tea", id="2"))
        await memory.add_session_to_memory(monday)
        before = await memory._db.read_memories()
        await memory.add_session_to_memory(monday)
        assert await memory._db.read_memories() == before
        await memory.close()

    asyncio.run(go())


def test_search_without_a_query(url: str) -> None:
    """A search without a query gives the newest memories, and none that was deleted."""

    async def go() -> None:
        memory = BuddyMemoryService(url, max_results=1)
        await memory.add_session_to_memory(session(said("green", id="1"), said("black", id="2")))
        await memory.delete_memory(**ANN, memory_id="s/2/")
        everything: Any = None
        assert texts(await memory.search_memory(**ANN, query=everything)) == ["green"]
        await memory.close()

    asyncio.run(go())
