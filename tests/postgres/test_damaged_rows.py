"""Rows of which some column was changed by hand, within what the column's type allows."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from buddy.memory.v2.db.postgres import PostgresMemoryDb
from tests.damage_checks import BAD, check_damaged, fill

TIMES = ["'infinity'", "'-infinity'", "'0001-01-01'", "'4000-01-01 BC'", "'10000-01-01'"]
VALUES = {
    "id": ["''", "E'\\001x'", "repeat('x', 2000)"],
    "user_id": ["''", "E'\\001'", "E'\\001\\001a'", "E'\\001q'", "'zed'"],
    "memory": [
        "'[]'",
        "'null'",
        """'{"x": 1e400}'""",
        """'{"x": 123456789012345678901234567890}'""",
        """'{"x": 1e-400}'""",
        """'{"memory": null, "topics": {"a": [1]}}'""",
        """'{"x": "\\u001bzz"}'""",
        """('{"a":' || repeat('[', 3000) || repeat(']', 3000) || '}')::jsonb""",
        """('{"x": ' || repeat('9', 5000) || '}')::jsonb""",
    ],
    "created_at": TIMES,
    "updated_at": TIMES,
    "version": ["0", "-1", "9223372036854775807", "9007199254740993"],
    "expires_at": ["'infinity'", "'9999-12-31 23:59:59.999999+00'", "'294276-12-31 23:59:59+00'"],
    "vector": ["''", r"'\xff'", r"'\x0000000000'", "decode(repeat('00', 2000), 'hex')"],
    "seq": ["-5", "0", "9223372036854775807"],
}
CASES = [(column, value) for column, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("column", "value"), CASES)
def test_a_damaged_row_harms_no_other(
    column: str,
    value: str,
    postgres_url: str,
    schema: str,
    admin: psycopg.Connection,
    tmp_path: Path,
) -> None:
    """Whatever stands in one column of one row, the others are read, written, found, exported and
    deleted, and every error is one of ours."""
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        fill(db)
        changed = admin.execute(
            f"UPDATE {schema}.notes SET {column} = {value} WHERE id = '{BAD}'"  # type: ignore[arg-type]  # noqa: S608
        )
        assert changed.rowcount == 1
        check_damaged(db, tmp_path)
