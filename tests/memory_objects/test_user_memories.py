"""Memory: memories of users, stored, read, replaced and deleted."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from buddy.agent import Agent
from buddy.memory.agent import AgentMemory
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.v2.db.inmemory import AsyncInMemoryDb
from buddy.memory.v2.db.schema import MemoryRow
from buddy.memory.v2.memory import Memory, UserMemory


def texts(memories):
    return [memory.memory for memory in memories]


def test_an_added_memory_comes_back_whole(db, call):
    """What was added is read back with its id, owner and times."""
    memory = Memory(db)
    id = call(memory, "add_user_memory", UserMemory("likes tea", ["food"], "I like tea"), "ada")
    found = call(memory, "get_user_memory", id, "ada")
    assert (found.memory, found.topics, found.input) == ("likes tea", ["food"], "I like tea")
    assert (found.memory_id, found.user_id) == (id, "ada")
    assert found.created_at.tzinfo == timezone.utc
    assert found.last_updated is not None


def test_the_stored_form_is_minimal(db):
    """A memory is stored as its text, topics and input, and nothing that the row has itself."""
    memory = Memory(db)
    memory.add_user_memory(UserMemory("likes tea"), "ada")
    memory.add_user_memory(UserMemory("has a cat", ["pets"], "my cat"), "ada")
    assert [row.memory for row in db.read_memories(sort="asc")] == [
        {"memory": "likes tea"},
        {"memory": "has a cat", "topics": ["pets"], "input": "my cat"},
    ]


def test_adding_the_same_object_twice_leaves_one_row(db, call):
    """A repeated call writes the same row, because the object knows its id."""
    memory, tea = Memory(db), UserMemory("likes tea")
    assert call(memory, "add_user_memory", tea, "ada") == tea.memory_id
    assert call(memory, "add_user_memory", tea, "ada") == tea.memory_id
    assert len(call(memory, "get_user_memories", "ada")) == 1


def test_times_of_the_caller_are_kept(db, call):
    """A memory that comes with its times keeps them."""
    day = datetime(2024, 5, 8, 13, 56, tzinfo=timezone.utc)
    given = UserMemory("went to the sea", created_at=day, last_updated=day)
    id = call(Memory(db), "add_user_memory", given, "ada")
    found = Memory(db).get_user_memory(id, "ada")
    assert (found.created_at, found.last_updated) == (day, day)


def test_no_user_is_the_user_default(db, call):
    """user_id None means the user "default", for writing and for reading."""
    memory = Memory(db)
    call(memory, "add_user_memory", UserMemory("likes tea"))
    assert texts(call(memory, "get_user_memories")) == ["likes tea"]
    assert texts(call(memory, "get_user_memories", "default")) == ["likes tea"]
    assert call(memory, "get_user_memories", "") == []


def test_a_memory_that_names_its_user_belongs_to_it(db, call):
    """Without user_id= the owner is the one that the memory names."""
    memory = Memory(db)
    id = call(memory, "add_user_memory", UserMemory("likes tea", user_id="ada"))
    assert texts(memory.get_user_memories("ada")) == ["likes tea"]
    assert call(memory, "replace_user_memory", id, UserMemory("likes rum", user_id="ada")) == id
    assert memory.get_user_memories() == []


def test_memories_are_listed_newest_first(db, call):
    """get_user_memories returns the newest first, and this user's only."""
    memory = Memory(db)
    for text in ("one", "two", "three"):
        memory.add_user_memory(UserMemory(text), "ada")
    memory.add_user_memory(UserMemory("four"), "bob")
    assert texts(call(memory, "get_user_memories", "ada")) == ["three", "two", "one"]


def test_a_replaced_memory_keeps_its_id_and_birth(db, call):
    """Replacing changes the content and the time of the update, nothing else."""
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("lives in Rome", ["home"]), "ada")
    old = memory.get_user_memory(id, "ada")
    assert call(memory, "replace_user_memory", id, UserMemory("lives in Oslo"), "ada") == id
    new = memory.get_user_memory(id, "ada")
    assert (new.memory, new.topics, new.created_at) == ("lives in Oslo", None, old.created_at)
    assert new.last_updated > old.last_updated


def test_replacing_what_was_deleted_stores_nothing(db, call):
    """A deleted memory does not come back by being replaced."""
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("lives in Rome"), "ada")
    assert call(memory, "delete_user_memory", id, "ada") is True
    assert call(memory, "replace_user_memory", id, UserMemory("lives in Oslo"), "ada") is None
    assert call(memory, "delete_user_memory", id, "ada") is False
    assert db.count_memories() == 0


def test_a_row_deleted_between_read_and_write_stays_deleted(db, call, monkeypatch):
    """A replacement that loses the race against a deletion writes nothing."""
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("lives in Rome"), "ada")
    upsert = db.upsert_memory

    def delete_first(row, **condition):
        db.delete_memory(id)
        return upsert(row, **condition)

    monkeypatch.setattr(db, "upsert_memory", delete_first)
    assert call(memory, "replace_user_memory", id, UserMemory("lives in Oslo"), "ada") is None
    assert db.count_memories() == 0


def test_a_change_made_meanwhile_is_not_overwritten_unseen(db, monkeypatch):
    """A replacement that meets another write is made again on top of it."""
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("lives in Rome"), "ada")
    upsert = db.upsert_memory

    def write_first(row, **condition):
        monkeypatch.setattr(db, "upsert_memory", upsert)
        upsert(MemoryRow({"memory": "lives in Bonn"}, id, "ada"))
        return upsert(row, **condition)

    monkeypatch.setattr(db, "upsert_memory", write_first)
    assert memory.replace_user_memory(id, UserMemory("lives in Oslo"), "ada") == id
    stored = db.read_memory(id)
    assert (stored.memory, stored.version) == ({"memory": "lives in Oslo"}, 3)


def test_another_users_memory_is_out_of_reach(db, call):
    """By its id, another user's memory can be neither read, replaced nor deleted."""
    memory = Memory(db)
    id = memory.add_user_memory(UserMemory("a secret"), "ada")
    assert call(memory, "get_user_memory", id, "bob") is None
    assert call(memory, "replace_user_memory", id, UserMemory("mine"), "bob") is None
    assert call(memory, "delete_user_memory", id, "bob") is False
    assert texts(memory.get_user_memories("ada")) == ["a secret"]


def test_two_users_may_have_one_id(db, call):
    """Each call reaches the memory of its own user, where another one has the same id."""
    memory = Memory(db)
    for user in ("ada", "bob"):
        given = UserMemory(f"of {user}", memory_id="x")
        assert call(memory, "add_user_memory", given, user) == "x"
    assert call(memory, "replace_user_memory", "x", UserMemory("changed"), "bob") == "x"
    assert call(memory, "get_user_memory", "x", "ada").memory == "of ada"
    assert call(memory, "delete_user_memory", "x", "ada") is True
    assert call(memory, "get_user_memory", "x", "ada") is None
    assert texts(call(memory, "search_user_memories", "changed", user_id="bob")) == ["changed"]


def test_deleting_a_user_leaves_the_others(db, call):
    """delete_user removes one user's memories, summaries and noted sessions; clear removes all."""
    memory = Memory(db)
    for user in ("ada", "bob"):
        memory.add_user_memory(UserMemory("likes tea"), user)
        memory.add_messages("s", "hello there", user)
        memory.create_session_summary(f"s-{user}", user, messages="I like tea.")
    assert call(memory, "delete_user", "ada") == {"memories": 1, "summaries": 1}
    assert (memory.get_user_memories("ada"), memory.get_runs("s", "ada")) == ([], [])
    assert len(memory.get_user_memories("bob")) == len(memory.get_runs("s", "bob")) == 1
    call(memory, "clear")
    assert db.count_memories() == db.count_summaries() == len(memory.get_runs("s", "bob")) == 0


def test_every_call_by_id_names_the_user(call, monkeypatch):
    """No memory object reads or deletes by id alone, also for the rows of nobody."""

    def refuse(*_, **__):
        raise AssertionError("by id alone")

    monkeypatch.setattr(InMemoryStore, "find", refuse)
    for memory in (
        (Memory(), Memory(AsyncInMemoryDb())) if call.__name__ == "awaited" else (Memory(),)
    ):
        id = call(memory, "add_user_memory", UserMemory("likes tea"), "ada")
        call(memory, "get_user_memory", id, "ada")
        call(memory, "replace_user_memory", id, UserMemory("likes rum"), "ada")
        call(memory, "create_user_memories", "I like tea", user_id="ada")
        call(memory, "delete_user_memory", id, "ada")
        call(memory, "create_session_summary", "s", "ada", messages="I like tea.")
        call(memory, "get_session_summary", "s", user_id="ada")
        call(memory, "delete_session_summary", "s", user_id="ada")
        call(memory, "forget_user", "ada")
    agent = Agent(
        lambda _: "yes",
        extract="verbatim",
        enable_user_memories=True,
        enable_session_summaries=True,
    )
    call(agent, "run", "I like tea", "ada")
    nobody = AgentMemory()
    nobody.add_message("hello")
    call(nobody, "update_summary")
    call(nobody, "load_summary")
    nobody.db.upsert_memory(MemoryRowV1({"memory": "x"}))
    nobody.model = lambda _: '{"operations": [{"op": "delete", "id": 1}]}'
    assert call(nobody, "update_memory", "forget it") == nobody.memories == []


def test_a_user_is_forgotten_with_a_receipt(db, call):
    """forget_user removes one user's rows and noted sessions, and says that they are gone."""
    memory = Memory(db)
    for user in ("ada", "bob"):
        memory.add_user_memory(UserMemory("likes tea", memory_id="x"), user)
        memory.add_messages("monday", "hello there", user)
        memory.create_session_summary("monday", user)
    receipt = call(memory, "forget_user", "ada")
    assert (receipt.user_id, receipt.memories_erased, receipt.summaries_erased) == ("ada", 1, 1)
    assert (receipt.remaining, receipt.verified) == (0, True)
    assert (memory.get_user_memories("ada"), memory.get_runs("monday", "ada")) == ([], [])
    assert len(memory.get_user_memories("bob")) == len(memory.get_runs("monday", "bob")) == 1
    assert memory.get_session_summary("monday", user_id="bob") is not None
    assert call(memory, "forget_user").memories_erased == 0


@pytest.mark.parametrize(
    "payload",
    [
        {"memory": "likes tea", "topics": ["food"], "memory_id": "x", "last_updated": "2024-01-01"},
        {"memory": "likes tea", "topic": "food", "id": 7},
        {"memory": "likes tea", "topics": ["food", 5], "input": 3},
    ],
    ids=["more keys", "version 1", "wrong types"],
)
def test_rows_of_other_software_load(db, call, payload):
    """A row with more, fewer or odd keys is a memory all the same."""
    db.upsert_memory(MemoryRow(payload, "id", "ada"))
    (found,) = call(Memory(db), "get_user_memories", "ada")
    assert (found.memory, found.topics, found.memory_id) == ("likes tea", ["food"], "id")


def test_a_row_without_a_text_is_shown_as_json(db):
    """An object without the text is not dropped; its JSON is the text."""
    db.upsert_memory(MemoryRow({"fact": "likes tea"}, "id", "ada"))
    assert texts(Memory(db).get_user_memories("ada")) == ['{"fact": "likes tea"}']


@pytest.mark.parametrize(
    "wrong",
    [
        "likes tea",
        {"memory": "likes tea"},
        UserMemory(3),
        UserMemory("a", topics="b"),
        UserMemory("a", topics=[1]),
        UserMemory("a", input=1),
        UserMemory("a", memory_id=""),
    ],
    ids=repr,
)
def test_a_wrong_memory_is_refused(db, call, wrong):
    """What is no memory raises InvalidMemoryError, and nothing is stored."""
    with pytest.raises(InvalidMemoryError):
        call(Memory(db), "add_user_memory", wrong, "ada")
    assert db.count_memories() == 0


def test_to_dict_and_back():
    """from_dict takes what to_dict gave, and ignores keys that it does not know."""
    day = datetime(2024, 5, 8, tzinfo=timezone.utc)
    memory = UserMemory("likes tea", ["food"], None, day, "id", day, "ada")
    shown = memory.to_dict()
    assert shown["created_at"] == "2024-05-08T00:00:00+00:00"
    assert "input" not in shown
    assert UserMemory.from_dict({**shown, "colour": "red"}) == memory
    assert UserMemory.from_dict({**shown, "created_at": "2024-05-08T00:00:00Z"}) == memory
