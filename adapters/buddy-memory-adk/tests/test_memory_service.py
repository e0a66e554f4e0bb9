"""BuddyMemoryService on every backend, alone and in ADK's runner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from google.adk.agents import Agent
from google.adk.cli.service_registry import get_service_registry, load_services_module
from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.tools import load_memory
from google.genai.types import Content, FunctionCall, Part

from adapters.adk_sessions import said, session, texts
from buddy.memory.errors import ConfigError, UnavailableError
from buddy_memory_adk import BuddyMemoryService


def test_add_and_search(url: str) -> None:
    """What was said is found by its words, with author and time; a session added again adds only
    what is new."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        first = said("I like green tea.", id="1", timestamp=1_700_000_000.5)
        empty = Event(author="user", id="2")
        await memory.add_session_to_memory(session(first, empty))
        await memory.add_session_to_memory(session(first, empty, said("My car is red.", id="3")))
        found = await memory.search_memory(app_name="app", user_id="ann", query="teas")
        [entry] = found.memories
        assert texts(found) == ["I like green tea."]
        assert (entry.author, entry.timestamp) == ("user", "2023-11-14T22:13:20.500000+00:00")
        assert texts(await memory.search_memory(app_name="app", user_id="ann", query="car")) == [
            "My car is red."
        ]
        nothing = await memory.search_memory(app_name="app", user_id="ann", query="boat")
        assert nothing.memories == []
        assert await memory.forget_user(app_name="app", user_id="ann") == {
            "memories": 2,
            "summaries": 0,
        }
        await memory.close()

    asyncio.run(go())


def test_apart(url: str) -> None:
    """Two users, two apps, and names that look like paths see nothing of each other; one event id
    in two sessions is two memories."""
    pairs = [("app", "ann"), ("app", "bob"), ("app2", "ann"), ("app/ann", ""), ("app", "ann/")]

    async def go() -> None:
        memory = BuddyMemoryService(url)
        for app, user in pairs:
            own = [session(said(f"tea {n}", id="1"), user=user, id=n, app=app) for n in "xy"]
            for one in own:
                await memory.add_session_to_memory(one)
        await memory.forget_user(app_name="app", user_id="bob")
        for app, user in pairs:
            found = await memory.search_memory(app_name=app, user_id=user, query="tea")
            assert sorted(texts(found)) == ([] if user == "bob" else ["tea x", "tea y"])
        await memory.close()

    asyncio.run(go())


def test_events_and_memories(url: str) -> None:
    """Events of a session and explicit memories are stored, with their metadata; a memory with an
    id replaces the one before."""

    async def go() -> None:
        memory = BuddyMemoryService(url, max_results=1)
        who: Any = {"app_name": "app", "user_id": "ann"}
        await memory.add_events_to_memory(
            **who, events=[said("green tea")], custom_metadata={"source": "chat"}
        )
        for text in ("a blue boat", "a red boat"):
            content = Content(parts=[Part(text=text)])
            await memory.add_memory(
                **who,
                memories=[MemoryEntry(content=content, id="boat", custom_metadata={"n": 1})],
                custom_metadata={"source": "form"},
            )
        [tea] = (await memory.search_memory(**who, query="tea")).memories
        assert tea.custom_metadata == {"source": "chat"}
        [boat] = (await memory.search_memory(**who, query="boat")).memories
        assert texts(await memory.search_memory(**who, query="boat")) == ["a red boat"]
        assert boat.custom_metadata == {"source": "form", "n": 1}
        await memory.close()

    asyncio.run(go())


def test_delete(url: str) -> None:
    """A deleted memory is not found, and its session does not bring it back."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        who: Any = {"app_name": "app", "user_id": "ann"}
        monday = session(said("green tea", id="1"), said("black tea", id="2"))
        await memory.add_session_to_memory(monday)
        found = (await memory.search_memory(**who, query="green")).memories
        await memory.delete_memory(**who, memory_id=found[0].id)
        await memory.delete_memory(**who, memory_id="none")
        await memory.delete_memory(**who)
        await memory.add_session_to_memory(monday)
        assert texts(await memory.search_memory(**who, query="tea")) == ["black tea"]
        await memory.close()

    asyncio.run(go())


class Asking(BaseLlm):
    """A model that loads memories first, and then says what it was told."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        last = llm_request.contents[-1].parts or []
        answered = [part.function_response for part in last if part.function_response]
        if answered:
            part = Part(text=str(answered[0].response))
        else:
            call = FunctionCall(name="load_memory", args={"query": "tea"})
            part = Part(function_call=call)
        yield LlmResponse(content=Content(role="model", parts=[part]))


def test_runner(url: str) -> None:
    """An agent in ADK's runner loads what an earlier session put into memory."""

    async def go() -> None:
        memory = BuddyMemoryService(url)
        sessions = InMemorySessionService()
        agent = Agent(name="agent", model=Asking(model="asking"), tools=[load_memory])
        runner = Runner(
            app_name="app", agent=agent, session_service=sessions, memory_service=memory
        )
        await memory.add_session_to_memory(session(said("I like green tea."), id="monday"))
        await sessions.create_session(app_name="app", user_id="ann", session_id="tuesday")
        spoken = []
        async for event in runner.run_async(
            user_id="ann",
            session_id="tuesday",
            new_message=Content(role="user", parts=[Part(text="What do I drink?")]),
        ):
            spoken += [part.text for part in event.content.parts or [] if part.text]  # type: ignore[union-attr]
        assert "I like green tea." in spoken[-1]
        await runner.close()
        await memory.close()

    asyncio.run(go())


def test_by_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ADK's registry makes the service from a URI, by the services file of the README."""
    readme = Path(__file__).parent.parent / "README.md"
    written = readme.read_text().split("```text\n")[1].split("```")[0]
    (tmp_path / "services.yaml").write_text(written)
    load_services_module(str(tmp_path))
    uri = f"buddy:sqlite:///{tmp_path}/memory.db"
    memory = get_service_registry().create_memory_service(uri, agents_dir=str(tmp_path))
    assert isinstance(memory, BuddyMemoryService)

    async def go() -> None:
        await memory.add_session_to_memory(session(said("green tea")))
        await memory.close()

    asyncio.run(go())
    assert (tmp_path / "memory.db").exists()


def test_outage() -> None:
    """A database that cannot be reached is an error, and no empty answer."""

    async def go() -> None:
        memory = BuddyMemoryService("redis://127.0.0.1:1")
        with pytest.raises(UnavailableError):
            await memory.search_memory(app_name="app", user_id="ann", query="tea")
        await memory.close()

    asyncio.run(go())


@pytest.mark.parametrize("arguments", [{}, {"db": "memory://", "uri": "buddy:memory://"}])
def test_one_database(arguments: dict[str, Any]) -> None:
    """Neither a database nor a URI, or both, is refused."""
    with pytest.raises(ConfigError):
        BuddyMemoryService(**arguments)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"max_result": 1}, "no option 'max_result'; did you mean 'max_results'"),
        ({"tabel_name": "t"}, "no option 'tabel_name'; it has db, uri, max_results"),
        ({"max_results": "3"}, "max_results must be an int >= 0, not '3'"),
        ({"max_results": -1}, "max_results must be an int >= 0, not -1"),
    ],
)
def test_wrong_options(option: dict[str, Any], told: str) -> None:
    """An option that there is not, or of a wrong kind, is refused with what was meant."""
    with pytest.raises(ConfigError, match=told):
        BuddyMemoryService("memory://", **option)


def test_two_slashes(tmp_path: Path) -> None:
    """A URI may have two slashes behind its scheme, as those of ADK's own services have."""

    async def go() -> None:
        memory = BuddyMemoryService(uri=f"buddy://sqlite:///{tmp_path}/memory.db")
        await memory.add_session_to_memory(session(said("green tea")))
        await memory.close()

    asyncio.run(go())
    assert (tmp_path / "memory.db").exists()
