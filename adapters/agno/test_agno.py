"""agno 1.8's own memory objects, unchanged, on our databases: no adapter is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agno.memory.agent import AgentMemory
from agno.memory.db import MemoryDb as AgnoMemoryDb
from agno.memory.manager import MemoryManager as MemoryManagerV1
from agno.memory.v2.memory import Memory
from agno.memory.v2.schema import UserMemory
from agno.models.base import Model
from agno.models.response import ModelResponse

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.db.base import MemoryDb as MemoryDbV1
from tests.servers.backends import Backend

AgnoMemoryDb.register(MemoryDbV1)  # agno's version 1 checks the class itself


class Scripted(Model):
    """A model that does what it is told to: it calls a function, and says that it has."""

    def __init__(self, function: str, **arguments: Any) -> None:
        super().__init__(id="scripted")
        self.function = function
        self.arguments = arguments

    def response(self, messages: Any, functions: Any = None, **_: Any) -> ModelResponse:
        functions[self.function].entrypoint(**self.arguments)
        return ModelResponse(content="done", tool_calls=[{"name": self.function}])

    async def aresponse(self, messages: Any, functions: Any = None, **_: Any) -> ModelResponse:
        return self.response(messages, functions)

    def __deepcopy__(self, memo: Any) -> Scripted:
        return self

    def _not_asked(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("no provider is asked")

    invoke = invoke_stream = parse_provider_response = _not_asked
    parse_provider_response_delta = _not_asked

    async def ainvoke(self, *_: Any, **__: Any) -> Any:
        self._not_asked()

    async def ainvoke_stream(self, *_: Any, **__: Any) -> Any:
        self._not_asked()


@pytest.fixture
def url(backend: Backend, tmp_path: Path) -> str:
    """The URL of an empty store, on the backends that have version 1, too."""
    if backend.name in ("redis", "firestore"):
        return f"sqlite:///{tmp_path}/memory.db"
    return backend.url(tmp_path)


def test_version_2(url: str) -> None:
    """agno's Memory adds, lets a model add, replaces and deletes; a second one reads it all."""
    with open_memory_db(url) as db:
        kept: Any = db
        memory = Memory(db=kept, model=Scripted("add_memory", memory="Has a cat", topics=["pets"]))
        tea = memory.add_user_memory(UserMemory(memory="Likes tea", topics=["food"]), "ann")
        memory.create_user_memories(message="I have a cat.", user_id="ann")
        memory.add_user_memory(UserMemory(memory="Has a car"), "bob")
        again = Memory(db=kept)
        assert {m.memory for m in again.get_user_memories("ann")} == {"Likes tea", "Has a cat"}
        again.replace_user_memory(tea, UserMemory(memory="Likes green tea"), "ann")
        assert {m.memory for m in Memory(db=kept).get_user_memories("ann")} == {
            "Likes green tea",
            "Has a cat",
        }
        again.delete_user_memory(tea, "ann")
        third = Memory(db=kept)
        assert [m.memory for m in third.get_user_memories("ann")] == ["Has a cat"]
        assert [m.memory for m in third.get_user_memories("bob")] == ["Has a car"]
        assert [m.topics for m in third.get_user_memories("ann")] == [["pets"]]


def test_version_1(url: str) -> None:
    """agno's AgentMemory lets a model add, and a second one reads it."""
    with open_memory_db(url, version=1) as db:
        kept: Any = db
        manager = MemoryManagerV1(model=Scripted("add_memory", memory="Likes tea"))
        memory = AgentMemory(db=kept, user_id="ann", manager=manager)
        memory.update_memory("I like tea.", force=True)
        again = AgentMemory(db=kept, user_id="ann")
        again.load_user_memories()
        assert [m.memory for m in again.memories or []] == ["Likes tea"]
        other = AgentMemory(db=kept, user_id="bob")
        other.load_user_memories()
        assert not other.memories


def test_ours_reads_theirs(url: str) -> None:
    """What agno stored is read, searched and moved as any other row."""
    with open_memory_db(url) as db:
        kept: Any = db
        Memory(db=kept).add_user_memory(UserMemory(memory="Likes green tea"), "ann")
        [found] = db.search_memories("teas", user_id="ann")
        assert isinstance(found.row, MemoryRow)
        assert found.row.memory["memory"] == "Likes green tea"
