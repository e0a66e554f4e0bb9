"""What an observer learns of each operation: whose rows it is about, and which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest

from buddy.memory import plugins
from buddy.memory.errors import AmbiguousIdError
from buddy.memory.hookspecs import Operation, hookimpl
from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.storage.record import EVERYBODY, Kind, Scope
from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy.memory.v2.db.store_backed import AsyncStoreBackedMemoryDb, StoreBackedMemoryDb

ANN, NO_USER, UNDER_A = Scope.of_user("ann"), Scope.of_user(None), Scope.of_prefix("a")


@pytest.fixture
def seen() -> Generator[list[Operation]]:
    """The operations that were observed."""
    operations: list[Operation] = []

    class Sees:
        @hookimpl
        def buddy_memory_operation(self, operation: Operation) -> None:
            operations.append(operation)

    plugin = Sees()
    plugins.register(plugin)
    yield operations
    plugins.unregister(plugin)


Call = Callable[[StoreBackedMemoryDb], Any]
SCOPES: dict[str, tuple[Call, Scope | None]] = {
    "read all": (lambda db: db.read_memories(), EVERYBODY),
    "read a user": (lambda db: db.read_memories("ann"), ANN),
    "read nobody": (lambda db: db.read_memories(NOBODY), NO_USER),
    "read a prefix": (lambda db: db.read_memories(user_prefix="a"), UNDER_A),
    "iterate": (lambda db: list(db.iter_memories(NOBODY)), NO_USER),
    "count all": (lambda db: db.count_memories(), EVERYBODY),
    "count nobody": (lambda db: db.count_memories(NOBODY), NO_USER),
    "upsert of a user": (lambda db: db.upsert_memory(MemoryRow({}, "a", "ann")), ANN),
    "upsert of nobody": (lambda db: db.upsert_memory(MemoryRow({}, "a")), NO_USER),
    "exists": (lambda db: db.memory_exists(MemoryRow({}, "a")), NO_USER),
    "get of a user": (lambda db: db.read_memory("a", user_id="ann"), ANN),
    "get of nobody": (lambda db: db.read_memory("a", user_id=NOBODY), NO_USER),
    "get by id alone": (lambda db: db.read_memory("a"), None),
    "delete of nobody": (lambda db: db.delete_memory("a", user_id=NOBODY), NO_USER),
    "users": (lambda db: db.list_users(prefix="a"), UNDER_A),
    "mark": (lambda db: db.change_mark(NOBODY), NO_USER),
    "delete a user": (lambda db: db.delete_user("ann"), ANN),
    "delete nobody": (lambda db: db.delete_user(NOBODY), NO_USER),
    "delete users": (lambda db: db.delete_users(user_prefix="a"), UNDER_A),
    "clear": (lambda db: db.clear(), EVERYBODY),
    "forget": (lambda db: db.forget_user("ann"), ANN),
    "the store": (lambda db: db.table_exists(), None),
}


@pytest.mark.parametrize("case", SCOPES)
def test_whose_rows_an_operation_is_about(case: str, seen: list[Operation]) -> None:
    """Everybody, nobody, a user, a prefix and "not named" are told apart."""
    call, scope = SCOPES[case]
    call(StoreBackedMemoryDb(InMemoryStore()))
    assert seen[0].scope == scope


def test_which_rows_a_call_names(seen: list[Operation]) -> None:
    """Rows that a call names are pairs of user and id, in bulk too; ids alone are only ids."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.upsert_memories([MemoryRow({}, "a", "ann"), MemoryRow({}, "b"), MemoryRow({}, "a", "bob")])
    db.read_memories_by_id(["b", "x"], user_id=NOBODY)
    db.delete_memories(["a"], user_id="bob")
    db.delete_memory("b", user_id=NOBODY)
    put, get, delete_many, delete = seen
    assert put.keys == [("ann", "a"), (None, "b"), ("bob", "a")]
    assert (put.scope, put.rows) == (None, 3)
    assert (get.keys, get.rows) == ([(None, "b"), (None, "x")], 1)
    assert (delete_many.keys, delete_many.rows) == ([("bob", "a")], 1)
    assert (delete.keys, delete.rows) == ([(None, "b")], 1)
    assert all(operation.ids == () for operation in seen)


def test_which_rows_a_call_found(seen: list[Operation]) -> None:
    """A page and a lookup by ids alone name at their end what they returned."""
    db = StoreBackedMemoryDb(InMemoryStore())
    db.upsert_memories([MemoryRow({}, "a", "ann"), MemoryRow({}, "b"), MemoryRow({}, "c", "bob")])
    db.read_memories(limit=2)
    db.delete_memories(["c", "x", "a"])
    db.upsert_memory(MemoryRow({}, "b", "ann"))
    with pytest.raises(AmbiguousIdError):
        db.read_memory("b")
    _, page, find, delete, _, ambiguous = seen
    assert (page.name, page.keys, page.rows) == ("page", [("bob", "c"), (None, "b")], 2)
    assert (find.name, find.ids, find.rows) == ("find", ["c", "x", "a"], 2)
    assert sorted(find.keys, key=repr) == [("ann", "a"), ("bob", "c")]
    assert sorted(delete.keys) == [("ann", "a"), ("bob", "c")]
    assert ambiguous.ids == ["b"]


def test_both_kinds(seen: list[Operation]) -> None:
    """Calls that are about both kinds are observed once for each."""
    db = AsyncStoreBackedMemoryDb(InMemoryStore())
    asyncio.run(db.upsert_summary(SummaryRow({}, "s", "ann")))
    asyncio.run(db.delete_user("ann"))
    assert [(o.name, o.kind, o.rows) for o in seen] == [
        ("put", Kind.SUMMARY, 1),
        ("delete_all", Kind.MEMORY, 0),
        ("delete_all", Kind.SUMMARY, 1),
    ]
    assert {operation.backend for operation in seen} == {"AsyncStoreBackedMemoryDb"}
