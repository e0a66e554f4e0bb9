"""R14, R15: expiry and clean-up."""

from __future__ import annotations

from buddy.memory.storage.record import Kind
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows


@check("R14", "expiring", "wait_expired")
def an_expired_row_is_gone_everywhere(trial: Trial) -> None:
    """A row and everything that leads to it expire together."""
    assert trial.subject.expiring is not None
    assert trial.subject.wait_expired is not None
    db = trial.open(lambda: trial.subject.expiring(1))  # type: ignore[misc]
    for kind in Kind:
        trial.rows(db, kind).add("short", user_id="ann")
        Rows(trial, kind).add("for ever", user_id="ann")
    trial.subject.wait_expired()
    for kind in Kind:
        rows = Rows(trial, kind)
        assert rows.get("short") is None
        assert rows.ids() == rows.ids("ann") == [row.id for row in rows.iter()] == ["for ever"]
        assert rows.count() == rows.count("ann") == 1
        assert rows.delete("short") is False
        assert rows.add("short", user_id="ann").version == 1


@check_rows("R14", "expiring", "wait_expired")
def bulk_writes_expire_too(rows: Rows) -> None:
    """Rows of a bulk write expire, new or updated, and so do those that a bulk write renews."""
    subject = rows.trial.subject
    assert subject.expiring is not None
    assert subject.wait_expired is not None
    short, long = (
        rows.trial.rows(rows.trial.open(lambda s=s: subject.expiring(s)), rows.kind)  # type: ignore[misc]
        for s in (1, 1000)
    )
    long.add("cut short")
    short.add("renewed")
    short.upsert_many([short.new("short"), short.new("cut short")])
    long.upsert_many([long.new("renewed")])
    subject.wait_expired()
    assert rows.ids("ann") == ["renewed"]
    assert rows.count() == 1
    assert rows.get("short") is None
    assert rows.get("cut short") is None


@check("R14", "expiring", "wait_expired")
def an_update_renews(trial: Trial) -> None:
    """An update renews the expiry of a row and of its place in listings."""
    assert trial.subject.expiring is not None
    assert trial.subject.wait_expired is not None
    long = trial.rows(trial.open(lambda: trial.subject.expiring(1000)))  # type: ignore[misc]
    short = trial.rows(trial.open(lambda: trial.subject.expiring(1)))  # type: ignore[misc]
    short.add("renewed")
    short.add("left alone")
    long.add("renewed", {"n": 2})
    trial.subject.wait_expired()
    assert trial.memories.ids("ann") == ["renewed"]
    assert trial.memories.get("renewed").version == 2


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
