"""What memory objects take as a database, and how they hold it."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys

import pytest

from buddy.memory.agent import AgentMemory
from buddy.memory.db.sqlite import SqliteMemoryDb as SqliteMemoryDbV1
from buddy.memory.db.store_backed import StoreBackedMemoryDb as StoredMemoryDbV1
from buddy.memory.errors import ClosedError, ConfigError, MemoryDbError, UnsupportedError
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.base import MemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.db.sqlite import AsyncSqliteMemoryDb, SqliteMemoryDb
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb
from buddy.memory.v2.memory import Memory, UserMemory


def test_a_database_of_the_other_version_names_the_class_to_use(tmp_path):
    """Given the other version, a memory object names the class that fits."""
    v1, v2 = SqliteMemoryDbV1(db_file=tmp_path / "a"), SqliteMemoryDb(db_file=tmp_path / "a")
    with v1, v2:
        with pytest.raises(TypeError, match=r"use buddy\.memory\.v2\.db\.sqlite\.SqliteMemoryDb"):
            Memory(v1)
        with pytest.raises(TypeError, match=r"use buddy\.memory\.db\.sqlite\.SqliteMemoryDb"):
            AgentMemory(v2)
    with pytest.raises(TypeError, match=r"use buddy\.memory\.db\.sqlite\.SqliteMemoryDb"):
        AgentMemory(AsyncSqliteMemoryDb())
    with pytest.raises(TypeError, match=r"subclass of buddy\.memory\.v2\.db\.base\.MemoryDb"):
        Memory(StoredMemoryDbV1(InMemoryStore()))


@pytest.mark.parametrize("cls", [Memory, AgentMemory])
@pytest.mark.parametrize(
    "wrong",
    [3, print, object(), SqliteMemoryDb, b"sqlite"],
    ids=["number", "function", "object", "class", "bytes"],
)
def test_what_is_no_database_is_a_type_error(cls, wrong):
    """Anything else is a TypeError that says what is wanted."""
    with pytest.raises(TypeError, match="takes a"):
        cls(wrong)


@pytest.mark.parametrize("cls", [Memory, AgentMemory])
def test_a_config_string_that_names_nothing(cls):
    """A wrong config string gets the registry's error."""
    with pytest.raises(ConfigError):
        cls("nosuch://x")


@pytest.mark.parametrize("mapping", [False, True], ids=["string", "mapping"])
def test_a_config_is_opened_and_closed(tmp_path, mapping):
    """A database that was named by a config is opened, and closed with the memory object."""
    url = f"sqlite:///{tmp_path}/x.db"
    with Memory({"url": url} if mapping else url) as memory:
        memory.add_user_memory(UserMemory("likes tea"))
        db = memory.db
    memory.close()
    with pytest.raises(ClosedError):
        db.ping()
    with pytest.raises(ClosedError):
        memory.get_user_memories()
    with Memory(url) as memory:
        assert len(memory.get_user_memories()) == 1


def test_a_given_database_is_never_closed(db):
    """Closing the memory object leaves the caller's database open."""
    with Memory(db) as memory:
        pass
    db.ping()
    with pytest.raises(ClosedError):
        memory.get_user_memories()


def test_without_a_database_everything_is_in_this_process():
    """Memory() and AgentMemory() work on a store of their own."""
    memory, other = Memory(), Memory()
    memory.add_user_memory(UserMemory("likes tea"))
    assert (len(memory.get_user_memories()), other.get_user_memories()) == (1, [])
    assert AgentMemory().load_user_memories() == []


def test_an_asynchronous_database_has_the_awaited_methods_only():
    """On an AsyncMemoryDb the twins work, and the other methods say what to await."""

    async def main():
        memory = Memory(AsyncStoreBackedMemoryDb(InMemoryStore()))
        await memory.acreate_user_memories("I like tea", user_id="ada")
        await memory.acreate_session_summary("s", "ada", messages="I like tea.")
        found = await memory.asearch_user_memories("tea", user_id="ada")
        for method in (memory.get_user_memories, memory.search_user_memories, memory.clear):
            with pytest.raises(TypeError, match=r"await .* an a in front"):
                method()
        await memory.aclear()
        return found, await memory.aget_session_summaries("ada")

    found, summaries = asyncio.run(main())
    assert [m.memory for m in found] == ["I like tea"]
    assert summaries == []


def test_one_object_works_in_several_loops_and_without_one(db):
    """The same Memory serves sync calls and any number of asyncio.run."""
    memory = Memory(db)
    for n in range(3):
        asyncio.run(memory.aadd_user_memory(UserMemory(f"{n}")))
        memory.add_user_memory(UserMemory(f"{n}!"))
    assert len(memory.get_user_memories()) == 6


def test_the_loop_goes_on_while_the_database_works(db, monkeypatch):
    """A synchronous database runs in threads, so other tasks go on while it works."""
    import threading

    go = threading.Event()
    read = db.read_memories

    def waiting(**arguments):
        assert go.wait(30)
        return read(**arguments)

    async def main():
        reading = asyncio.create_task(Memory(db).aget_user_memories())
        await asyncio.sleep(0)
        go.set()
        return await reading

    monkeypatch.setattr(db, "read_memories", waiting)
    assert asyncio.run(main()) == []


def test_a_copy_shares_the_database_and_the_model(tmp_path, scripted):
    """A deepcopy reads and writes the same store, has its own sessions, and is closed by itself."""
    model = scripted()
    memory = Memory(f"sqlite:///{tmp_path}/x.db", model)
    memory.add_messages("s", "hello")
    twin = copy.deepcopy(memory)
    twin.add_messages("s", "more")
    twin.add_user_memory(UserMemory("likes tea"))
    assert twin.model is model
    assert (len(memory.get_runs("s")), len(twin.get_runs("s"))) == (1, 2)
    twin.close()
    assert len(memory.get_user_memories()) == 1
    memory.close()
    with pytest.raises(ClosedError):
        memory.db.ping()


def test_a_pickle_opens_the_same_store(tmp_path):
    """A memory on a database outside this process can be pickled."""
    with Memory(f"sqlite:///{tmp_path}/x.db") as memory:
        memory.add_user_memory(UserMemory("likes tea"))
        memory.add_messages("s", "hello")
        with pickle.loads(pickle.dumps(memory)) as twin:  # noqa: S301
            assert len(twin.get_user_memories()) == len(twin.get_runs("s")) == 1


def test_to_dict_has_settings_and_no_secrets(tmp_path):
    """to_dict and repr tell the database's settings and what was seen, without a password."""
    memory = Memory(f"sqlite:///{tmp_path}/x.db?table_name=notes")
    memory.add_messages("s", "hello", "ada")
    shown = memory.to_dict()
    assert (shown["version"], shown["db"]["table_name"]) == (2, "notes")
    assert shown["sessions"][0]["runs"][0]["messages"] == [{"role": "user", "content": "hello"}]
    assert "notes" in repr(memory)


class Smallest(MemoryDb):
    """A plugin that implements the eight abstract methods only."""

    def __init__(self):
        self.rows = {}

    def create(self): ...

    def table_exists(self):
        return True

    def drop_table(self):
        self.rows.clear()

    def clear(self):
        self.rows.clear()
        return True

    def memory_exists(self, memory):
        return (memory.user_id, memory.id) in self.rows

    def read_memories(self, user_id=None, limit=None, sort=None):
        user = None if user_id is NOBODY else user_id
        rows = [r for r in self.rows.values() if user_id is None or r.user_id == user]
        return (rows if sort == "asc" else rows[::-1])[:limit]

    def upsert_memory(self, memory):
        self.rows[memory.user_id, memory.id] = memory
        return memory

    def delete_memory(self, memory_id, *, user_id=None):
        assert user_id is not None
        del self.rows[None if user_id is NOBODY else user_id, memory_id]


def test_a_plugin_of_eight_methods_is_enough(call, scripted):
    """Memories work on a plugin that implements the abstract methods only."""
    memory = Memory(Smallest())
    (tea,) = call(memory, "create_user_memories", "I like tea", user_id="ada")
    call(memory, "create_user_memories", "I like tea", user_id="ada")
    assert call(memory, "replace_user_memory", tea.memory_id, UserMemory("likes rum"), "ada")
    assert call(memory, "replace_user_memory", tea.memory_id, UserMemory("x"), "bob") is None
    assert [m.memory for m in call(memory, "search_user_memories", "rum", user_id="ada")]
    memory.model = scripted('{"operations": [{"op": "delete", "id": 1}]}')
    call(memory, "create_user_memories", "forget it", user_id="ada")
    assert call(memory, "get_user_memories", "ada") == []
    with pytest.raises(UnsupportedError, match="session summaries"):
        call(memory, "get_session_summary", "s", user_id="ada")
    call(memory, "add_user_memory", UserMemory("likes tea"), "ada")
    receipt = call(memory, "forget_user", "ada")
    assert (receipt.memories_erased, receipt.summaries_erased, receipt.verified) == (1, None, True)


def test_a_broken_database_is_never_an_empty_answer(call, tmp_path):
    """A database that cannot be opened raises from every method."""
    db = SqliteMemoryDb(db_file=tmp_path)
    memory = Memory(db)
    memory.add_messages("s", "hello")
    for name, *arguments in (
        ("add_user_memory", UserMemory("x")),
        ("get_user_memory", "x"),
        ("get_user_memories",),
        ("replace_user_memory", "x", UserMemory("x")),
        ("delete_user_memory", "x"),
        ("search_user_memories", "x"),
        ("search_user_memories",),
        ("create_user_memories", "x"),
        ("create_session_summary", "s"),
        ("get_session_summary", "s"),
        ("get_session_summaries",),
        ("delete_session_summary", "s"),
        ("delete_user",),
        ("clear",),
    ):
        with pytest.raises(MemoryDbError):
            call(memory, name, *arguments)


WRITER = """
import sys
from buddy.memory.v2.memory import Memory, UserMemory
with Memory(sys.argv[1]) as memory:
    print([m.memory for m in memory.get_user_memories("ada")])
    print(memory.get_session_summary("s", user_id="ada").summary)
    memory.add_user_memory(UserMemory("written there"), "ada")
    memory.create_session_summary("s", "ada", messages="Written there.")
"""


def test_two_processes_see_each_others_writes(tmp_path):
    """What one process writes, the other reads at its next call, in both directions."""
    url = f"sqlite:///{tmp_path}/x.db"
    with Memory(url) as memory:
        memory.add_user_memory(UserMemory("written here"), "ada")
        memory.create_session_summary("s", "ada", messages="Written here.")
        done = subprocess.run(
            [sys.executable, "-c", WRITER, url], check=True, capture_output=True, text=True
        )
        assert done.stdout.splitlines() == ["['written here']", "Written here."]
        found = [m.memory for m in memory.get_user_memories("ada")]
        assert found == ["written there", "written here"]
        assert memory.get_session_summary("s", user_id="ada").summary == "Written there."


def test_importing_loads_no_driver_and_no_loop():
    """Importing the agent and the memory objects loads neither asyncio nor SQLAlchemy."""
    code = (
        "import sys, buddy.agent, buddy.memory.agent, buddy.memory.v2.memory\n"
        "m = buddy.memory.v2.memory.Memory(); m.create_user_memories('hello')\n"
        "print(sorted({'asyncio', 'sqlalchemy', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_rows_of_the_memory_are_plain_rows(db):
    """What a Memory wrote is an ordinary row, and an ordinary row is a memory."""
    db.upsert_memory(MemoryRow({"memory": "likes tea"}, "id", "default"))
    assert Memory(db).get_user_memory("id").memory == "likes tea"
