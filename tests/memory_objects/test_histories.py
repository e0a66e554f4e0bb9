"""Histories are kept in the process, and bounded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from buddy.agent import Agent
from buddy.memory.agent import AgentMemory
from buddy.memory.conversation.history import MAX_RUNS, MAX_SESSIONS
from buddy.memory.errors import ConfigError
from buddy.memory.v2.memory import Memory, RunResponse


def answer(messages: list[dict[str, str]]) -> str:
    return f"I was told {len(messages)}."


def test_an_agent_of_many_sessions_keeps_the_last(db: Any) -> None:
    """After many sessions the histories, and the session ids of users, are as many as allowed."""
    memory = Memory(db)
    agent = Agent(answer, memory)
    for n in range(MAX_SESSIONS + 20):
        agent.run("hello", user_id=f"user {n}")
    sessions = memory.to_dict()["sessions"]
    assert len(sessions) == MAX_SESSIONS
    assert sessions[0]["user_id"] == "user 20"
    assert len(agent._session_ids.items()) == MAX_SESSIONS


def test_the_session_used_last_is_kept(db: Any, call: Any) -> None:
    """What is read or written counts as used; the least recently used session goes."""
    memory = Memory(db, max_sessions=2)
    agent = Agent(answer, memory)
    for session in ("a", "b", "a", "c"):
        call(agent, "run", "hello", session_id=session)
    assert [len(memory.get_runs(session)) for session in "abc"] == [2, 0, 1]
    memory.get_runs("a")
    memory.add_messages("d", "hello")
    assert [len(memory.get_runs(session)) for session in "acd"] == [2, 0, 1]


def test_a_long_session_keeps_its_last_runs(db: Any, db_v1: Any) -> None:
    """Of one session the last runs are kept, with both memory objects."""
    memory, older = Memory(db), AgentMemory(db_v1)
    for n in range(MAX_RUNS + 5):
        run = RunResponse(messages=[{"role": "user", "content": str(n)}])
        memory.add_run("s", run)
        older.add_run(run)
    for runs in (memory.get_runs("s"), older.runs):
        assert len(runs) == MAX_RUNS
        assert runs[0].messages[0]["content"] == "5"


def test_bounds_of_ones_own(db: Any) -> None:
    """max_runs and max_sessions may be any number, or None for all."""
    memory = Memory(db, max_sessions=None, max_runs=None)
    for n in range(MAX_SESSIONS + 1):
        memory.add_messages(f"{n}", "hello")
        memory.add_messages("one", "hello")
    assert len(memory.to_dict()["sessions"]) == MAX_SESSIONS + 2
    assert len(memory.get_runs("one")) == MAX_SESSIONS + 1
    none = Memory(db, max_runs=0)
    none.add_messages("s", "hello")
    assert none.get_runs("s") == []
    with pytest.raises(ConfigError):
        Memory(db, max_sessions=-1)


def test_runs_that_are_gone_are_summarised_no_more(db: Any, call: Any) -> None:
    """A summary goes on with the runs that are kept, and repeats none of those before."""
    memory = Memory(db, max_runs=2)
    for text in ("Cats sleep.", "Dogs bark.", "Birds sing."):
        memory.add_messages("s", text, "ada")
    made = call(memory, "create_session_summary", "s", "ada")
    assert made.summary == "Dogs bark.\nBirds sing."
    memory.add_messages("s", "Fish swim.", "ada")
    assert call(memory, "create_session_summary", "s", "ada").summary.count("\n") == 2


def test_history_can_be_handed_in(db: Any, call: Any) -> None:
    """Messages that another process kept stand before the model once they are noted."""
    told: list[Any] = []

    def model(messages: list[dict[str, str]]) -> str:
        told.append(messages)
        return "fine"

    memory = Memory(db)
    earlier = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    memory.add_messages("s", earlier, user_id="ada")
    call(Agent(model, memory), "run", "three", user_id="ada", session_id="s")
    assert told[0] == [*earlier, {"role": "user", "content": "three"}]


def test_threads_share_the_bound(db: Any) -> None:
    """Many threads on many sessions neither fail nor leave more than is allowed."""
    memory = Memory(db, max_sessions=3)

    def work(n: int) -> None:
        for i in range(200):
            memory.add_messages(f"{(n + i) % 7}", "hello")
            memory.get_runs(f"{i % 7}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert len(memory.to_dict()["sessions"]) == 3


def test_a_session_noted_without_its_user_is_not_summarised_as_empty(db: Any, call: Any) -> None:
    """Runs noted for nobody in particular are not silently missing from somebody's summary."""
    memory = Memory(db)
    memory.add_messages("s", "Cats sleep.")
    with pytest.raises(ConfigError, match="pass user_id='ada' to add_run"):
        call(memory, "create_session_summary", "s", "ada")
    assert call(memory, "create_session_summary", "s").summary == "Cats sleep."


def test_session_and_user_cannot_be_swapped(db: Any, call: Any) -> None:
    """The user of a summary is named, so that ("ann", "s") in another order is a TypeError."""
    memory = Memory(db)
    for method in ("get_session_summary", "delete_session_summary"):
        with pytest.raises(TypeError, match="positional"):
            call(memory, method, "ada", "s")
        assert not call(memory, method, user_id="ada", session_id="s")
