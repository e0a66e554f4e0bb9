"""Thousands of rows, around the sizes at which drivers and servers begin anew."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.backend_under_test import Trial
from buddy.memory.testing.check import check

SIZES = (499, 500, 501, 1000, 1001, 2000, 2001, 2999)
"""Of bulk writes; with them a listing is longer than 10,000 rows, at which some servers stop."""


@check("R4", big=True)
def a_listing_is_whole_however_long(trial: Trial) -> None:
    """Bulk writes of any size come back whole, from a listing and an iteration of any length."""
    rows = trial.memories
    ids: list[str] = []
    for size in SIZES:
        new = [f"{len(ids) + n:05}" for n in range(size)]
        stored = rows.upsert_many(rows.new(id, {"id": id}) for id in new)
        assert [row.id for row in stored] == new, f"a bulk write of {size}"
        ids += new
    assert rows.count() == len(ids)
    assert rows.ids(sort="asc") == ids
    assert [row.id for row in rows.iter(sort="asc")] == ids
    assert [row.id for row in rows.iter()] == ids[::-1]
    assert [row.id for row in rows.iter(sort="asc", page_size=len(ids))] == ids
    assert rows.ids(limit=len(ids) - 1, sort="asc") == ids[:-1]
    found = rows.get_many(ids[::-1], user_id="ann")
    assert [row and rows.payload(row)["id"] for row in found] == ids[::-1]


@check("R15", big=True)
def any_number_of_rows_is_deleted(trial: Trial) -> None:
    """delete_user and clear delete thousands of rows of each kind, of the empty user and nobody,
    too, and of nobody else."""
    memories, summaries, many = trial.memories, trial.summaries, range(1203)
    for user in ("ann", "", None):
        memories.upsert_many(memories.new(f"{n}", user_id=user) for n in many)
    for user in ("ann", "annie"):
        summaries.upsert_many(summaries.new(f"{n}", user_id=user) for n in many)
    assert trial.db.delete_user(NOBODY) == {"memories": 1203, "summaries": 0}
    assert trial.db.delete_user("ann") == {"memories": 1203, "summaries": 1203}
    assert (memories.count(NOBODY), memories.count("ann"), memories.count("")) == (0, 0, 1203)
    assert (summaries.count("ann"), summaries.count("annie")) == (0, 1203)
    assert trial.db.clear() is True
    assert (memories.read(), summaries.read()) == ([], [])


@check("R5", big=True)
def any_number_of_users_is_listed(trial: Trial) -> None:
    """list_users tells all of more than a thousand users, and as many as were asked for."""
    users = [f"user {n:04}" for n in range(1203)]
    trial.memories.upsert_many(trial.memories.new("a", user_id=user) for user in users)
    assert trial.db.list_users() == users
    assert trial.db.list_users(limit=1100) == users[:1100]
    assert trial.db.list_users(limit=1100, after=users[99]) == users[100:1200]


@check("R14", big=True)
def any_number_of_rows_is_touched(trial: Trial) -> None:
    """One touch moves the ends of more than a thousand rows, and counts all."""
    memories, ids = trial.memories, [f"{n}" for n in range(1203)]
    memories.upsert_many(map(memories.new, ids))
    assert memories.touch(["none", *ids], user_id="ann", ttl=3600) == 1203
    ends = [row.expires_at for row in memories.get_many(ids, user_id="ann")]
    assert None not in ends


@check("R14", big=True)
def any_number_of_ended_rows_is_swept(trial: Trial) -> None:
    """One sweep removes thousands of ended rows of each kind."""
    store, now = trial.store, datetime.now(timezone.utc)
    made, ended = now - timedelta(days=2), now - timedelta(days=1)
    for kind in Kind:
        rows = [Record(kind, "ann", f"{n}", {}, made, made, 1, ended) for n in range(1203)]
        store.restore([Write(row, now) for row in rows])
    assert 0 <= trial.db.sweep() <= 2406
    assert trial.db.sweep() == 0
    for kind in Kind:
        left = store.ended(kind)
        assert left is None or left.rows == 0
