"""AgentMemory, the memory object of version 1."""

from __future__ import annotations

import copy

import pytest

from buddy.memory.agent import AgentMemory, RunResponse
from buddy.memory.errors import ConfigError, MemoryDbError
from buddy.memory.row import MemoryRow, content_id


def texts(memories):
    return [memory.memory for memory in memories]


def test_what_was_said_is_kept_and_loaded(db_v1, call):
    """update_memory stores the words, and memories shows what is stored afterwards."""
    memory = AgentMemory(db_v1, user_id="ada")
    assert memory.memories is None
    assert texts(call(memory, "update_memory", "I like tea")) == ["I like tea"]
    call(memory, "update_memory", "I have a cat")
    assert texts(memory.memories) == ["I have a cat", "I like tea"]
    assert [row.memory for row in db_v1.read_memories()] == [
        {"memory": "I have a cat"},
        {"memory": "I like tea"},
    ]


def test_retrieval_and_number(db_v1, call):
    """last_n loads the newest first, first_n the oldest, num_memories at most."""
    for text in "abc":
        AgentMemory(db_v1, "ada").update_memory(text)
    last = AgentMemory(db_v1, "ada", num_memories=2)
    first = AgentMemory(db_v1, "ada", num_memories=2, retrieval="first_n")
    assert texts(call(last, "load_user_memories")) == ["c", "b"] == texts(last.memories)
    assert texts(call(first, "load_user_memories")) == ["a", "b"]
    assert AgentMemory(db_v1, "ada", num_memories=0).load_user_memories() == []


def test_semantic_retrieval_is_a_clear_error(db_v1, call):
    """Asking for semantic retrieval is refused, in the constructor and when set later."""
    with pytest.raises(ConfigError, match="last_n, first_n, not 'semantic'"):
        AgentMemory(db_v1, retrieval="semantic")
    memory = AgentMemory(db_v1)
    memory.retrieval = "semantic"
    with pytest.raises(ConfigError, match="semantic"):
        call(memory, "load_user_memories")
    with pytest.raises(ConfigError, match="limit"):
        AgentMemory(db_v1, num_memories=-1)


def test_no_user_is_nobody_and_not_everybody(db_v1, call):
    """Without a user only rows without an owner are seen and changed."""
    AgentMemory(db_v1, "ada").update_memory("a secret")
    nobody = AgentMemory(db_v1, num_memories=2)
    for text in "xyz":
        call(nobody, "update_memory", text)
    assert texts(nobody.memories) == ["z", "y"]
    assert texts(AgentMemory(db_v1, num_memories=0).load_user_memories()) == []
    assert texts(AgentMemory(db_v1, "ada").load_user_memories()) == ["a secret"]
    assert {row.user_id for row in db_v1.read_memories()} == {"ada", None}


def test_a_model_keeps_to_this_user(db_v1, call, scripted):
    """A model updates and deletes memories of this user only, also when that is nobody."""
    AgentMemory(db_v1, "bob").update_memory("a secret")
    memory = AgentMemory(db_v1)
    memory.update_memory("old")
    memory.model = scripted(
        '{"operations": [{"op": "delete", "id": 1}, {"op": "add", "memory": "new"}]}'
    )
    call(memory, "update_memory", "forget that")
    assert texts(memory.memories) == ["new"]
    assert "secret" not in memory.model.asked[0][1]["content"]
    assert texts(AgentMemory(db_v1, "bob").load_user_memories()) == ["a secret"]


def test_rows_of_other_software_load(db_v1, call):
    """Rows as the classic layout has them are memories."""
    db_v1.upsert_memory(MemoryRow({"memory": "likes tea", "input": "I like tea"}, "ada"))
    (found,) = call(AgentMemory(db_v1, "ada"), "load_user_memories")
    assert (found.memory, found.input, found.user_id) == ("likes tea", "I like tea", "ada")


def test_the_summary_is_in_the_database(db_v1, call):
    """A summary is written to the database, loaded by another object, and gone on from."""
    memory = AgentMemory(db_v1, "ada", session_id="s1")
    assert call(memory, "update_summary") is None
    memory.add_message({"role": "user", "content": "Cats sleep."})
    assert call(memory, "update_summary").summary == "Cats sleep."
    later = AgentMemory(db_v1, "ada", session_id="s1")
    assert later.summary is None
    assert call(later, "load_summary").summary == later.summary.summary == "Cats sleep."
    later.add_messages(["Dogs bark."])
    assert call(later, "update_summary").summary == "Cats sleep.\nDogs bark."
    assert db_v1.read_summary("s1").user_id == "ada"
    assert AgentMemory(db_v1, session_id="s1").load_summary() is None


def test_messages_and_runs(db_v1):
    """Messages and runs are noted in order; clear forgets them and leaves the database alone."""
    memory = AgentMemory(db_v1, "ada")
    memory.update_memory("I like tea")
    memory.add_message("hello")
    said = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    memory.add_run(RunResponse("a", said))
    assert [m["content"] for m in memory.messages] == ["hello", "q", "a"]
    assert memory.get_messages_from_last_n_runs(1, skip_role="user") == said[1:]
    assert len(memory.runs) == 2
    shown = memory.to_dict()
    assert (shown["user_id"], len(shown["runs"]), len(shown["memories"])) == ("ada", 2, 1)
    memory.clear()
    assert (memory.messages, memory.runs, memory.memories) == ([], [], None)
    assert texts(memory.load_user_memories()) == ["I like tea"]


def test_a_failed_read_keeps_what_was_loaded(call, tmp_path):
    """A database that cannot be read raises, and memories stays what it was."""
    from buddy.memory.db.sqlite import SqliteMemoryDb

    memory = AgentMemory(SqliteMemoryDb(db_file=tmp_path), "ada")
    memory.memories = []
    for name, *arguments in (("load_user_memories",), ("update_memory", "x"), ("load_summary",)):
        with pytest.raises(MemoryDbError):
            call(memory, name, *arguments)
    assert memory.memories == []


def test_config_strings_and_copies(tmp_path):
    """A config string opens a version 1 database; a deepcopy shares it."""
    with AgentMemory(f"sqlite:///{tmp_path}/x.db", "ada") as memory:
        twin = copy.deepcopy(memory)
        twin.update_memory("I like tea")
        assert texts(memory.load_user_memories()) == ["I like tea"]
        twin.close()
        assert texts(memory.load_user_memories()) == ["I like tea"]


def test_another_users_row_of_the_same_id_is_another_row(db_v1, call):
    """Words whose id another user's row happens to have are kept under that id all the same."""
    id = content_id({"memory": "hello"}, None)
    db_v1.upsert_memory(MemoryRow({"memory": "theirs"}, "bob", id=id))
    (made,) = call(AgentMemory(db_v1), "update_memory", "hello")
    assert (made.user_id, made.memory_id) == (None, id)
    assert db_v1.read_memory(id, user_id="bob").memory == {"memory": "theirs"}


def test_two_users_may_have_sessions_of_one_id(db_v1, call):
    """Each user, and nobody, has a summary of its own under one session id."""
    for name in ("ada", "bob", None):
        memory = AgentMemory(db_v1, name, session_id="monday")
        memory.add_message(f"I am {name}.")
        call(memory, "update_summary")
    for name in ("ada", "bob", None):
        memory = AgentMemory(db_v1, name, session_id="monday")
        assert call(memory, "load_summary").summary == f"I am {name}."


def test_forgetting_the_user(db_v1, call):
    """forget_user erases this user's rows only, also nobody's, and what was loaded and said."""
    for name in ("ada", None):
        memory = AgentMemory(db_v1, name)
        memory.update_memory("I like tea")
        memory.add_message("hello")
        receipt = call(memory, "forget_user")
        assert (receipt.user_id, receipt.memories_erased, receipt.verified) == (name, 1, True)
        assert (memory.memories, memory.messages) == (None, [])
        assert memory.load_user_memories() == []
        AgentMemory(db_v1, "bob").update_memory(f"not {name}")
    assert db_v1.count_memories() == 2
