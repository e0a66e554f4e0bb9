"""R9, R10: setup and lifecycle."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy
from typing import Any

from buddy.memory.errors import ClosedError
from buddy.memory.testing.assertions import at_once, in_a_child, raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check
from buddy.memory.testing.rules.failure import every_call
from buddy.memory.testing.views import AsyncView, require_close


@check("R9")
def create_is_idempotent(trial: Trial) -> None:
    """create() makes the tables, and does nothing to tables that are there."""
    assert trial.db.table_exists() is False
    trial.db.create()
    assert trial.db.table_exists() is True
    rows = trial.memories
    stored = [rows.add(id) for id in "cab"]
    trial.db.create()
    trial.open().create()
    assert rows.read(sort="asc") == stored
    assert rows.add("c").version == 2
    assert rows.ids(sort="asc") == [*"cab"]
    assert rows.add("d").version == 1
    assert rows.ids(sort="asc") == [*"cabd"]
    assert rows.trial.db.list_users() == ["ann"]


@check("R9")
def create_is_safe_from_many_at_once(trial: Trial) -> None:
    """create() from many objects and threads at once returns everywhere."""
    dbs = [trial.open() for _ in range(4)]
    for _ in range(3):
        at_once(8, lambda n: dbs[n % 4].create())
        assert trial.db.table_exists() is True
        trial.db.drop_table()


@check("R9")
def upgrade_of_a_current_store_changes_nothing(trial: Trial) -> None:
    """upgrade() makes nothing where nothing is, and leaves a current one alone, at once too."""
    trial.db.upgrade()
    assert trial.db.table_exists() is False
    row = trial.memories.add("a")
    dbs = [trial.open() for _ in range(4)]
    at_once(4, lambda n: dbs[n].upgrade())
    assert trial.memories.read() == [row]


@check("R9", "named")
def any_legal_name_names_a_store(trial: Trial) -> None:
    """A store may have any name that is legal on its backend; each is a store of its own."""
    assert trial.subject.named is not None
    names = [
        "Select",
        "with space",
        'quo"te',
        "o'clock",
        "da-sh",
        "ünïcode",
        "percent%s",
        "semi;colon",
    ]
    for name in names:
        rows = trial.rows(trial.open(lambda name=name: trial.subject.named(name)))  # type: ignore[misc]
        rows.add("a", {"in": name})
        rows.upsert_many([rows.new("a", {"in": name}), rows.new("b")])
        assert rows.ids("ann", 5) == ["b", "a"], name
        assert rows.payload(rows.get("a")) == {"in": name}
        assert rows.delete("b")
    for name in names:
        db = trial.open(lambda name=name: trial.subject.named(name))  # type: ignore[misc]
        assert trial.rows(db).ids() == ["a"], name
        db.drop_table()
        assert db.table_exists() is False


@check("R10", "unreachable")
def a_constructor_does_no_io(trial: Trial) -> None:
    """Opening, showing and closing an object does not need the database to answer."""
    assert trial.subject.unreachable is not None
    db = trial.open(trial.subject.unreachable)
    assert type(db.to_dict()) is dict
    assert repr(db)
    db.close()


@check("R10")
def close_is_idempotent_and_final(trial: Trial) -> None:
    """close() may be repeated, and ends a with block; other calls raise ClosedError after it."""
    require_close(trial.db)
    trial.memories.add("a")
    db = trial.open()
    raises(ZeroDivisionError, _fail_within, db, trial.rows(db))
    db.close()
    for name, call in every_call(trial, db):
        try:
            result = call()
        except ClosedError:
            continue
        raise AssertionError(f"{name} returned {result!r} after close()")
    assert trial.memories.ids() == ["a"]


def _fail_within(db: Any, rows: Rows) -> None:
    with db:
        assert rows.ids() == ["a"]
        raise ZeroDivisionError


@check("R10")
def one_object_serves_many_threads(trial: Trial) -> None:
    """One object serves any number of threads: nothing is lost, mixed up or refused."""

    def work(n: int) -> list[str]:
        for m in range(5):
            trial.memories.add(f"{n}-{m}", {"n": n}, user_id=f"user {n}")
            trial.summaries.add(f"{n}-{m}", {"n": n}, user_id=f"user {n}")
        assert trial.summaries.count(f"user {n}") == 5
        return trial.memories.ids(f"user {n}", sort="asc")

    for n, ids in enumerate(at_once(8, work)):
        assert ids == [f"{n}-{m}" for m in range(5)]
    assert trial.memories.count() == 40


@check("R10", only="sync")
def a_deep_copy_shares_the_store(trial: Trial) -> None:
    """A copy talks to the same store, and closing it does not close the original."""
    for twin in (deepcopy(trial.db), copy(trial.db)):
        trial.rows(twin).add("a")
        assert trial.memories.ids() == ["a"]
        require_close(twin)
        twin.close()
        raises(ClosedError, twin.ping)
        assert trial.memories.ids() == ["a"]


@check("R10")
def a_pickle_carries_settings_or_refuses(trial: Trial) -> None:
    """A pickle opens the same store again, or is refused with a TypeError that says why."""
    row = trial.memories.add("a")
    db = trial.db.async_db if isinstance(trial.db, AsyncView) else trial.db
    refusal = ""
    try:
        data = pickle.dumps(db)
    except TypeError as error:
        refusal = str(error)
        data = b""
    if not data:
        assert "pickle" in refusal
        return
    twin = trial.view(pickle.loads(data))  # noqa: S301  (made two lines above)
    assert trial.rows(twin).read() == [row]


@check("R10", "forks", only="sync")
def a_forked_child_gets_its_own_connections(trial: Trial) -> None:
    """After a fork, parent and child both work, with the object that the parent used before."""
    trial.memories.add("before")

    def write() -> None:
        trial.memories.add("child")
        assert set(trial.memories.ids()) >= {"before", "child"}

    if in_a_child(write, meanwhile=lambda: trial.memories.add("parent")):
        assert sorted(trial.memories.ids()) == ["before", "child", "parent"]
