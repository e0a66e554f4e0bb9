"""R7, R11, R16: failures, secrets, damaged rows."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from buddy.memory.errors import CorruptMemoryError, MemoryDbError
from buddy.memory.storage.record import Kind
from buddy.memory.testing.assertions import logged, raises
from buddy.memory.testing.backend_under_test import Trial
from buddy.memory.testing.check import check


def every_call(trial: Trial, db: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield each method of a database by name, as a call that talks to it."""
    for kind in Kind:
        rows = trial.rows(db, kind)
        calls: dict[str, Callable[[], Any]] = {
            "upsert": partial(rows.add, "a"),
            "upsert_many": partial(rows.upsert_many, [rows.new("a")]),
            "upsert none": partial(rows.upsert_many, []),
            "get": partial(rows.get, "a"),
            "get of a user": partial(rows.get, "a", user_id="ann"),
            "get_many": partial(rows.get_many, ["a", "b"]),
            "get_many of a user": partial(rows.get_many, ["a", "b"], user_id="ann"),
            "get none": partial(rows.get_many, []),
            "page": partial(rows.page, limit=3),
            "page of a prefix": partial(rows.page, limit=3, user_prefix="a"),
            "read": rows.read,
            "read of a user": partial(rows.read, "ann", 3, "asc"),
            "read none": partial(rows.read, limit=0),
            "iter": partial(_exhaust, rows.iter),
            "count": rows.count,
            "count of a prefix": partial(rows.count, user_prefix="a"),
            "delete": partial(rows.delete, "a"),
            "delete_many": partial(rows.delete_many, ["a"]),
            "delete none": partial(rows.delete_many, []),
            "touch": partial(rows.touch, ["a"], user_id="ann", ttl=60),
        }
        yield from ((f"{kind.value}: {name}", call) for name, call in calls.items())
    yield "memory_exists", lambda: db.memory_exists(trial.memories.new("a"))
    for name in ("create", "table_exists", "clear", "drop_table", "ping", "upgrade", "sweep"):
        yield name, getattr(db, name)
    yield "list_users", db.list_users
    yield "list no users", lambda: db.list_users(limit=0)
    yield "change_mark", lambda: db.change_mark("ann")
    yield "search_memories", lambda: db.search_memories("a", user_id="ann")
    yield "delete_user", lambda: db.delete_user("ann")
    yield "delete_users", lambda: db.delete_users(user_prefix="a")
    yield "forget_user", lambda: db.forget_user("ann")


def _exhaust(iterate: Callable[[], Iterable[Any]]) -> list[Any]:
    return list(iterate())


@check("R7", "unreachable")
def failure_is_never_emptiness(trial: Trial) -> None:
    """With a database that does not answer, every method raises from our tree."""
    assert trial.subject.unreachable is not None
    db = trial.open(trial.subject.unreachable)
    for name, call in every_call(trial, db):
        try:
            result = call()
        except MemoryDbError:
            continue
        raise AssertionError(f"{name} returned {result!r} instead of raising")


@check("R11", "unreachable", "secret")
def no_password_is_ever_shown(trial: Trial) -> None:
    """No password in repr, str, to_dict, errors with their causes, or logs of any level."""
    assert trial.subject.unreachable is not None
    secret = trial.subject.secret
    assert secret is not None
    db = trial.open(trial.subject.unreachable)
    shown = [repr(db), str(db), repr(db.to_dict())]
    with logged(everything=True) as messages:
        for _, call in every_call(trial, db):
            try:
                call()
            except MemoryDbError as error:
                shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
    for text in shown + messages:
        assert secret not in text, text.replace(secret, "<the password>")


@check("R16", "corrupt")
def a_damaged_row_is_named_and_skipped(trial: Trial) -> None:
    """A row that cannot be decoded raises by id, and is skipped in listings with one warning."""
    rows = trial.memories
    for id in "abcd":
        rows.add(id)
    assert trial.subject.corrupt is not None
    trial.subject.corrupt("b")
    error = raises(CorruptMemoryError, rows.get, "b")
    assert error.id == "b"
    assert rows.count() == rows.count("ann") == 4
    with logged() as messages:
        assert rows.ids(sort="asc") == ["a", "c", "d"]
    assert len(messages) == 1
    assert "'b'" in messages[0]
    with logged() as messages:
        assert [row.id for row in rows.iter("ann", page_size=2)] == ["d", "c", "a"]
    assert len(messages) == 1


@check("R4", "corrupt")
def the_limit_counts_readable_rows(trial: Trial) -> None:
    """An unreadable row does not take the place of a readable one under a limit."""
    rows = trial.memories
    for id in "abcdef":
        rows.add(id)
    assert trial.subject.corrupt is not None
    for id in "bce":
        trial.subject.corrupt(id)
    with logged():
        assert rows.ids(limit=2) == ["f", "d"]
        assert rows.ids("ann", 2, "asc") == ["a", "d"]
        assert rows.ids(limit=3) == rows.ids(limit=4) == ["f", "d", "a"]


@check("R16", "corrupt")
def a_damaged_row_can_be_replaced_or_deleted(trial: Trial) -> None:
    """A row that cannot be decoded can be overwritten by its owner, also in bulk, and deleted; its
    version, its first time and its place go on."""
    rows = trial.memories
    assert trial.subject.corrupt is not None
    created = {id: rows.add(id).created_at for id in "abc"}
    for id in created:
        trial.subject.corrupt(id)
    rows.add("d")
    for stored in (rows.upsert_many([rows.new("c", {"new": 2})])[0], rows.add("a", {"new": 2})):
        assert (stored.version, rows.payload(stored)) == (2, {"new": 2})
        assert stored == rows.get(stored.id)
        assert stored.created_at == created[stored.id]
    assert rows.ids(sort="asc") == ["a", "c", "d"]
    assert rows.delete_many(["c", "d"]) == 2
    assert rows.delete("b") is True
    assert rows.ids() == ["a"]


@check("R16", "corrupt")
def a_damaged_row_can_be_cleaned_up(trial: Trial) -> None:
    """delete_memories, delete_user and clear take rows that cannot be decoded too."""
    rows, db = trial.memories, trial.db
    assert trial.subject.corrupt is not None
    for clean in (lambda: rows.delete_many(["a"]), lambda: db.delete_user("ann"), db.clear):
        rows.add("a")
        trial.subject.corrupt("a")
        assert clean()
        assert rows.get("a") is None
        assert rows.count() == 0


@check("R16")
def stored_text_is_never_executed(trial: Trial) -> None:
    """Text that looks like code, a pickle or a template comes back as text."""
    texts = [
        "__import__('os').abort()",
        pickle.dumps({"a": 1}, protocol=0).decode(),
        "!!python/object/apply:os.abort []",
        "{{7*7}} ${PATH} %(id)s $(reboot) `reboot`",
        '{"$where": "sleep(9999)"}',
        "'); DELETE FROM memory; --",
    ]
    row = trial.memories.add("a", {"texts": texts, **dict.fromkeys(texts, 1)})
    assert trial.memories.get("a") == row
    assert trial.memories.payload(row)["texts"] == texts
