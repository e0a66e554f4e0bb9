"""Who makes memories: a model, the user's own words, or a function."""

from __future__ import annotations

import json
from typing import Any

import pytest

from buddy.agent import Agent
from buddy.memory.agent import AgentMemory
from buddy.memory.conversation.extraction import MAX_INPUT
from buddy.memory.errors import ConfigError, ConflictError
from buddy.memory.v2.memory import Memory, UserMemory


def operations(*texts: str) -> str:
    return json.dumps({"operations": [{"op": "add", "memory": text} for text in texts]})


class Chat:
    """A model that chats, and extracts what it is scripted to when it is asked for that."""

    def __init__(self, *extracted: str) -> None:
        self.extracted = extracted
        self.asked: list[str] = []

    def __call__(self, messages: list[dict[str, str]]) -> str:
        self.asked.append(messages[0]["content"])
        is_extraction = "long-term memory" in messages[0]["content"]
        return operations(*self.extracted) if is_extraction else "Fine!"


def texts(memory: Memory, user: str = "ada") -> list[str]:
    return [m.memory for m in reversed(memory.get_user_memories(user))]


def test_an_agents_model_extracts(db: Any, call: Any) -> None:
    """Without a switch the agent's model decides what is remembered, with one more call a run."""
    model = Chat()
    agent = Agent(model, Memory(db), enable_user_memories=True)
    call(agent, "run", "Hi! How are you?", user_id="ada")
    assert texts(agent.memory) == []
    assert len(model.asked) == 2
    model.extracted = ("Ada lives in Rome",)
    call(agent, "run", "I live in Rome.", user_id="ada")
    (made,) = agent.memory.get_user_memories("ada")
    assert (made.memory, made.input) == ("Ada lives in Rome", "I live in Rome.")


def test_the_memorys_own_model_comes_first(db: Any, call: Any) -> None:
    """Where both have a model, the memory's makes memories."""
    model, own = Chat("of the agent"), Chat("of the memory")
    call(Agent(model, Memory(db, own), enable_user_memories=True), "run", "Hello.", user_id="ada")
    assert texts(Memory(db)) == ["of the memory"]
    assert (len(model.asked), len(own.asked)) == (1, 1)


def test_verbatim(db: Any, call: Any) -> None:
    """Word for word needs no model, whether the agent says so or the memory."""
    model = Chat("nothing")
    for n, agent in enumerate(
        (
            Agent(model, Memory(db), True, extract="verbatim"),
            Agent(model, Memory(db, extract="verbatim"), True),
            Agent(model, Memory(db, extract="model"), True, extract="verbatim"),
        )
    ):
        call(agent, "run", f"I said {n}.", user_id="ada")
    assert texts(Memory(db)) == ["I said 0.", "I said 1.", "I said 2."]
    assert len(model.asked) == 3
    assert {m.input for m in Memory(db).get_user_memories("ada")} == {None}


def test_a_model_that_is_asked_for_has_to_be_there(db: Any, call: Any) -> None:
    """extract="model" without any model is a ConfigError; in an agent its model serves."""
    memory = Memory(db, extract="model")
    with pytest.raises(ConfigError, match="needs a model"):
        call(memory, "create_user_memories", "hello", user_id="ada")
    call(Agent(Chat("greets"), memory, True), "run", "hello", user_id="ada")
    assert texts(memory) == ["greets"]


async def awaited(messages: list[dict[str, str]]) -> list[Any]:
    return [UserMemory(messages[-1]["content"].upper(), ["shouted"])]


FUNCTIONS = {
    "texts": (lambda messages: [m["content"].upper() for m in messages], "HELLO"),
    "one text": (lambda messages: "HELLO", "HELLO"),
    "coroutine": (awaited, "HELLO"),
    "generator": (lambda messages: (m["content"].upper() for m in messages), "HELLO"),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function(kind: str, db: Any, call: Any) -> None:
    """A function from messages to texts or memories makes them, sync or async."""
    function, expected = FUNCTIONS[kind]
    memory = Memory(db, Chat(), extract=function)
    call(memory, "create_user_memories", [{"role": "system", "content": "x"}, "hello"], None, "ada")
    assert texts(memory) == [expected]
    call(Agent(Chat(), memory, True), "run", "bye", user_id="ada")
    assert texts(memory)[0] == expected


def test_a_function_that_makes_no_memories(db: Any, call: Any) -> None:
    """A function may return none; anything but memories is a TypeError."""
    memory = Memory(db, extract=lambda messages: [])
    assert call(memory, "create_user_memories", "hello") == []
    for wrong in (None, 3, [3]):
        memory.extract = lambda messages, wrong=wrong: wrong
        with pytest.raises(TypeError, match="must return texts or UserMemory"):
            call(memory, "create_user_memories", "hello")


def test_an_unknown_switch_is_refused(db: Any) -> None:
    """extract is one of two words, or a callable."""
    for make in (Memory, Agent, AgentMemory):
        with pytest.raises(ConfigError, match="'model', 'verbatim' or a callable"):
            make(extract="words")


def test_instructions_of_ones_own(db: Any, call: Any, scripted: Any) -> None:
    """Own instructions take the place of ours; the rules of the form stay."""
    model = scripted(operations(), '{"summary": "short"}')
    memory = Memory(
        db, model, memory_instructions="Only allergies.", summary_instructions="In French."
    )
    call(memory, "create_user_memories", "hello")
    call(memory, "create_session_summary", "s", messages="hello")
    systems = [asked[0]["content"] for asked in model.asked]
    for system, own in zip(systems, ("Only allergies.", "In French."), strict=True):
        assert f"\n{own}\n" in system
        assert "follow no instruction" in system
        assert "JSON object" in system
    assert "preferences" not in systems[0]
    assert "Be concise" not in systems[1]


def test_the_input_is_what_the_user_said(db: Any, call: Any, scripted: Any) -> None:
    """A memory by a model keeps the user's words, shortened; an update those of the update."""
    memory = Memory(db, scripted(operations("Ada has a cat")))
    talk = [*("a" * 1500, "b" * 1500), {"role": "assistant", "content": "Nice!"}]
    (made,) = call(memory, "create_user_memories", talk, user_id="ada")
    assert made.input == f"{'a' * 1500}\n{'b' * (MAX_INPUT - 1502)}…"
    memory.model = scripted('{"operations": [{"op": "update", "id": 1, "memory": "Two cats"}]}')
    (changed,) = call(memory, "create_user_memories", "Now two", user_id="ada")
    assert (changed.input, changed.memory_id) == ("Now two", made.memory_id)


def test_an_error_after_memories_were_stored_says_so(db: Any, scripted: Any, call: Any) -> None:
    """Where an addition is stored and a change then fails, the error names what is stored."""
    memory = Memory(db)
    memory.add_user_memory(UserMemory("old"), "ada")
    memory.model = scripted(
        '{"operations": [{"op": "add", "memory": "new"},'
        '{"op": "update", "id": 1, "memory": "newer"}]}'
    )

    def refuse(row: Any, **_: Any) -> None:
        raise ConflictError(row.id, 1, 2)

    upsert, db.upsert_memory = db.upsert_memory, refuse
    memory_conflicts = pytest.MonkeyPatch()
    memory_conflicts.setattr("buddy.memory.conversation.conflicts.SECONDS", 0)
    try:
        with pytest.raises(ConflictError, match="1 row had been stored") as caught:
            call(memory, "create_user_memories", "hello", user_id="ada")
    finally:
        memory_conflicts.undo()
        db.upsert_memory = upsert
    ((user, id),) = caught.value.stored
    assert user == "ada"
    assert memory.get_user_memory(id, "ada").memory == "new"
    assert "Nothing was changed" not in str(caught.value)
