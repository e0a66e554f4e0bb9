"""An agent on either memory object, and with one that fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from buddy.agent import Agent
from buddy.memory import open_memory_db
from buddy.memory.agent import AgentMemory
from buddy.memory.errors import ClosedError, ConfigError, UnavailableError
from buddy.memory.v2.memory import Memory


class Parrot:
    """A model that says back what the user said last, and notes all that it was told."""

    def __init__(self) -> None:
        self.told: list[list[dict[str, str]]] = []

    def __call__(self, messages: list[dict[str, str]]) -> str:
        self.told.append(messages)
        return f"You said: {messages[-1]['content']}"


def remembered(messages: list[dict[str, str]]) -> Any:
    text = messages[0]["content"]
    return json.loads(text[text.index("<remembered>") + 12 : text.index("</remembered>")])


@pytest.fixture(params=[Memory, AgentMemory])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Makes a memory object of either version, each time on the same store."""
    with open_memory_db(f"sqlite:///{tmp_path}/x.db", request.param.version) as db:
        yield lambda: request.param(db)


def learning(memory: Any, model: Any = None, **settings: Any) -> Agent:
    return Agent(model or Parrot(), memory, True, True, extract="verbatim", **settings)


def test_either_object_serves_an_agent(make: Callable[[], Any], call: Any) -> None:
    """Another agent on the same store is told the user's memories, summary, and nobody else's."""
    call(learning(make()), "run", "Cats sleep.", user_id="ada", session_id="s1")
    model = Parrot()
    second = learning(make(), model)
    response = call(second, "run", "hello", user_id="ada", session_id="s1")
    assert (response.user_id, response.session_id) == ("ada", "s1")
    data = remembered(model.told[0])
    assert [m["memory"] for m in data["user_memories"]] == ["Cats sleep."]
    assert "Cats sleep." in data["session_summary"]
    call(second, "run", "again", user_id="ada", session_id="s1")
    assert [m["content"] for m in model.told[1][1:]] == ["hello", "You said: hello", "again"]
    call(second, "run", "hello", user_id="bob", session_id="s1")
    assert "Cats" not in str(model.told[2])


def test_an_agent_memory_is_of_its_own_user_and_session(db_v1: Any, call: Any) -> None:
    """Where run names neither, an AgentMemory's user and session are meant, also when nobody."""
    for user in ("ada", None):
        memory = AgentMemory(db_v1, user, session_id="s1")
        response = call(learning(memory), "run", "I like tea")
        assert (response.user_id, response.session_id) == (user, "s1")
        assert [m.memory for m in call(memory, "load_user_memories")] == ["I like tea"]
        assert [m["content"] for m in memory.messages] == ["I like tea", "You said: I like tea"]
        assert "I like tea" in call(memory, "load_summary").summary
    other = call(learning(AgentMemory(db_v1, "ada")), "run", "hello", user_id="bob")
    assert (other.user_id, db_v1.count_memories("bob")) == ("bob", 1)


def refuse(*_: Any, **__: Any) -> None:
    raise UnavailableError("the store", "down")


def test_an_answer_without_the_memory(
    make: Callable[[], Any], call: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """With "answer" a store that is down costs the memory; the response says what is missing."""
    memory = make()
    agent = learning(memory, on_memory_error="answer", user_id="ada", session_id="s")
    with monkeypatch.context() as patched:
        for method in ("read_memories", "read_memories_by_id", "read_summary"):
            patched.setattr(memory.db, method, refuse)
        response = call(agent, "run", "Cats sleep.")
    assert response.content == "You said: Cats sleep."
    assert (
        set(response.not_read) == set(response.not_stored) == {"user_memories", "session_summary"}
    )
    assert all(isinstance(e, UnavailableError) for e in response.not_stored.values())
    assert "down" in response.to_dict()["not_stored"]["user_memories"]
    assert "answers without its memory" in caplog.text
    response = call(agent, "run", "Dogs bark.")
    assert (response.not_read, response.not_stored) == ({}, {})
    assert "not_stored" not in response.to_dict()
    summary = make().db.read_summary("s", user_id="ada").summary["summary"]
    assert summary.startswith("Cats sleep.\n")
    assert "Dogs bark." in summary


def test_an_answer_without_what_its_model_should_have_made(db: Any, call: Any) -> None:
    """A model that makes no usable memories costs no answer either."""
    agent = Agent(Parrot(), Memory(db), True, on_memory_error="answer")
    response = call(agent, "run", "hello", session_id="s")
    assert list(response.not_stored) == ["user_memories"]
    assert len(agent.memory.get_runs("s")) == 1


def test_misuse_is_no_outage(db: Any) -> None:
    """A memory that was closed, or a setting that does not exist, raises all the same."""
    with Memory(db) as memory:
        agent = learning(memory, on_memory_error="answer")
    with pytest.raises(ClosedError):
        agent.run("hello")
    with pytest.raises(ConfigError, match="raise, answer"):
        Agent(on_memory_error="ignore")  # type: ignore[arg-type]


def test_a_failed_run_says_what_was_stored(
    make: Callable[[], Any], call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the summary fails after the memories, the error names these, and the run is undone."""
    memory = make()
    monkeypatch.setattr(memory.db, "upsert_summary", refuse)
    agent = learning(memory, user_id="ada", session_id="s")
    with pytest.raises(UnavailableError, match="1 row had been stored") as caught:
        call(agent, "run", "Cats sleep.")
    ((user, id),) = caught.value.stored
    assert memory.db.read_memory(id, user_id=user).memory["memory"] == "Cats sleep."
    monkeypatch.setattr(memory.db, "upsert_summary", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError) as other:
        call(agent, "run", "Dogs bark.")
    assert "1 memories of this call were stored before." in other.value.__notes__
    assert memory.to_dict().get("runs", []) == []


def test_an_agent_closes_what_it_opened(tmp_path: Path) -> None:
    """An agent is a context manager, awaited or not, and closes a memory that it opened."""
    with learning(f"sqlite:///{tmp_path}/x.db") as agent:
        agent.run("I like tea")
    with pytest.raises(ClosedError):
        agent.run("hello")

    async def main() -> Agent:
        async with learning(f"sqlite:///{tmp_path}/x.db") as awaited:
            await awaited.arun("I like rum")
        return awaited

    with pytest.raises(ClosedError):
        asyncio.run(main()).run("hello")
