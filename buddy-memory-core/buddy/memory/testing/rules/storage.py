"""R15: clean-up."""

from __future__ import annotations

from buddy.memory.storage.record import Kind
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows


@check_rows("R15", "neighbour")
def stores_do_not_see_each_other(rows: Rows) -> None:
    """Stores in one database with similar names share no row and no id."""
    assert rows.trial.subject.neighbour is not None
    other = rows.trial.rows(rows.trial.open(rows.trial.subject.neighbour), rows.kind)
    mine, theirs = rows.add("a", {"in": "mine"}), other.add("a", {"in": "theirs"}, "bob")
    other.add("b", user_id="ann")
    assert rows.read() == rows.read("ann") == [mine]
    assert (rows.count(), other.count()) == (1, 2)
    assert other.get("a") == theirs
    assert rows.get("b") is None
    assert rows.delete("b") is False
    assert rows.delete_many(["b"]) == 0


@check("R15", "neighbour")
def clean_up_touches_only_this_store(trial: Trial) -> None:
    """clear, drop_table and delete_user leave other stores of the same database alone."""
    assert trial.subject.neighbour is not None
    other = trial.open(trial.subject.neighbour)
    for kind in Kind:
        trial.rows(other, kind).add("a")
    for clean in (trial.db.clear, trial.db.drop_table, lambda: trial.db.delete_user("ann")):
        for kind in Kind:
            Rows(trial, kind).add("a")
        clean()
        for kind in Kind:
            assert Rows(trial, kind).read() == []
            assert trial.rows(other, kind).ids() == ["a"]


@check("R15", "named")
def a_name_is_no_pattern(trial: Trial) -> None:
    """The name of a store means that store, also where it could be read as a pattern."""
    named = trial.subject.named
    assert named is not None
    names = ("stXre", "st*re", "st?re", "st_re", "st%re", "st.re", "[s]tXre")
    stores = {
        name: trial.rows(trial.open(lambda name=name: named(name)))  # type: ignore[misc]
        for name in names
    }
    for name, rows in stores.items():
        assert rows.db.table_exists() is False, name
        rows.add("a", {"in": name})
    for number, (name, rows) in enumerate(stores.items(), 1):
        assert rows.db.clear() is True
        rows.db.drop_table()
        left = [name for name, rows in stores.items() if rows.ids() == ["a"]]
        assert left == list(names)[number:], name
