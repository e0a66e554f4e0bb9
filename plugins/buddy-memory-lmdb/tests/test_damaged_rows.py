"""Rows of which some part of the head was changed by hand."""

from __future__ import annotations

import json
from pathlib import Path

import lmdb
import pytest

from buddy.memory.storage.record import Kind
from buddy_memory_lmdb.client import MAP_SIZE, Database, keys_of
from buddy_memory_lmdb.schema import Keys
from buddy_memory_lmdb.v2 import LmdbMemoryDb
from tests.damage_checks import BAD, check_damaged, fill

FIELDS = ["user", "id", "created", "updated", "version", "end", "vector", "stamp"]
VALUES = [
    *["null", "5", "1.5", '""', '"zzz"', "[]", "{}", "true", "-1", "0", str(2**63), "NaN"],
    *['"9999-12-31T23:59:59.999999+00:00"', '"2020-01-01"', '"\\u0000"', "[" * 100_000],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:30])
@pytest.mark.parametrize("field", FIELDS)
def test_a_damaged_row_harms_no_other(field: str, value: str, tmp_path: Path) -> None:
    """Whatever stands in one field of one row, the others are read, written, found, exported and
    deleted, and every error is one of ours."""
    with LmdbMemoryDb(tmp_path / "lmdb", "notes") as db:
        fill(db)
        damage(tmp_path / "lmdb", FIELDS.index(field), value)
        check_damaged(db, tmp_path)


def damage(folder: Path, at: int, value: str) -> None:
    """Put a text in the place of one field of the row ``BAD``."""
    keys, database = Keys("notes"), Database(folder, MAP_SIZE)

    def change(t: lmdb.Transaction) -> None:
        for key in list(keys_of(t, keys.ids(Kind.MEMORY, BAD))):
            place = keys.rows(Kind.MEMORY) + t.get(key)
            head, _, payload = t.get(place).partition(b"\n")
            fields = [*map(json.dumps, json.loads(head))]
            fields[at] = value
            t.put(place, f"[{', '.join(fields)}]\n".encode() + payload)

    database.write(change)
    database.close()
