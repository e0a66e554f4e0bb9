"""Rows of which some column was changed by hand: SQLite takes any value for any column."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from buddy.memory.v2.db.sqlite import SqliteMemoryDb
from tests.damage_checks import BAD, check_damaged, fill

NO_TEXT = "cast(x'ff41' AS TEXT)"
ANY = ["5", "1.5", "9e999", "''", "'zzz'", "x'ff'", NO_TEXT]
TIMES = [
    *ANY,
    "'infinity'",
    "'0000-00-00'",
    "'2020-13-01 00:00:00.000000'",
    "'9999-12-31 23:59:59.999999'",
    "'10000-01-01 00:00:00.000000'",
    "'٢٠٢٠-01-01 00:00:00.000000'",
]
VALUES = {
    "id": [*ANY, "'a' || char(0) || 'b'", "char(1)", "9223372036854775807"],
    "user_id": [*ANY, "char(1)", "char(1) || char(1) || 'a'", "char(1) || 'q'"],
    "memory": [
        *ANY,
        "'['",
        "'[]'",
        "'null'",
        """'{"x": 1e400}'""",
        """'{"x": NaN}'""",
        """'{"x": 123456789012345678901234567890}'""",
        """'{"memory": null, "topics": {"a": [1]}}'""",
        """'{"x": "' || char(27) || 'zz"}'""",
        "replace(hex(zeroblob(5000)), '00', '[')",
    ],
    "created_at": TIMES,
    "updated_at": TIMES,
    "version": [*ANY, "0", "-1", "9223372036854775807", "9007199254740993"],
    "expires_at": TIMES,
    "vector": [*ANY, "x'0000000000'", "zeroblob(2000)"],
    "stamp": [*ANY, "0", "-1", "9223372036854775807", "-9223372036854775808"],
    "seq": ["-5", "0", "9223372036854775806"],
}
CASES = [(column, value) for column, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("column", "value"), CASES)
def test_a_damaged_row_harms_no_other(column: str, value: str, tmp_path: Path) -> None:
    """Whatever stands in one column of one row, the others are read, written, found, exported and
    deleted, and every error is one of ours."""
    file = tmp_path / "a.db"
    with SqliteMemoryDb(db_file=file) as db:
        fill(db)
        with closing(sqlite3.connect(file)) as raw, raw:
            raw.execute(f"UPDATE memory SET {column} = {value} WHERE id = ?", (BAD,))  # noqa: S608
        check_damaged(db, tmp_path)
