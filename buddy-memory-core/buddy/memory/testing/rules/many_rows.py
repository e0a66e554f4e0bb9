"""R4, R6, R15: thousands of rows, around the sizes at which drivers and servers begin anew."""

from __future__ import annotations

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
