"""What is stored: plain jsonb that SQL can query, and everything that jsonb cannot hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from buddy.memory.v2.db.postgres import PostgresMemoryDb
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from buddy_memory_postgres import encoding


@pytest.fixture
def db(postgres_url: str, schema: str) -> Iterator[PostgresMemoryDb]:
    with PostgresMemoryDb("notes", schema, postgres_url) as db:
        yield db


def test_what_is_stored(db: PostgresMemoryDb, admin: psycopg.Connection, schema: str) -> None:
    """A row is stored in these columns, in this form."""
    time = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
    memory = {"memory": "likes tea", "topics": ["a"], "n": 1, "f": 0.5}
    db.upsert_memory(MemoryRow(memory, "id", "ann", time, time))
    db.upsert_summary(SummaryRow({"s": "é"}, "session", None, time, time))
    query = "SELECT row_to_json(t)::text FROM {} AS t"
    for table, text in (
        (
            "notes",
            '{"seq":1,"id":"id","user_id":"ann","memory":{"f": 0.5, "n": 1, "memory": "likes tea", '
            '"topics": ["a"]},"created_at":"2026-01-02T03:04:05.678901+00:00",'
            '"updated_at":"2026-01-02T03:04:05.678901+00:00","version":1,'
            '"expires_at":null,"vector":null}',
        ),
        (
            "notes_summaries",
            '{"seq":1,"id":"session","user_id":"","summary":{"s": "é"},'
            '"created_at":"2026-01-02T03:04:05.678901+00:00",'
            '"updated_at":"2026-01-02T03:04:05.678901+00:00","version":1,'
            '"expires_at":null,"vector":null}',
        ),
    ):
        admin.execute("SET timezone = 'UTC'")
        found = admin.execute(sql.SQL(query).format(sql.Identifier(schema, table))).fetchone()
        assert found == (text,)


def test_sql_can_query_payloads(
    db: PostgresMemoryDb, admin: psycopg.Connection, schema: str
) -> None:
    """Ordinary payloads can be searched with the operators of jsonb."""
    db.upsert_memory(MemoryRow({"memory": "tea", "topics": ["a", "b"], "n": 5}, "x"))
    db.upsert_memories([MemoryRow({"memory": "milk", "topics": ["b"], "n": 7}, "y")])
    query = """SELECT id FROM {} WHERE memory->'topics' ? 'b' AND (memory->>'n')::int > 5
               AND memory @> '{{"memory": "milk"}}'"""
    found = admin.execute(sql.SQL(query).format(sql.Identifier(schema, "notes"))).fetchall()
    assert found == [("y",)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain é 🦉", '"plain é 🦉"'),
        (1e16, "10000000000000000.0"),
        (-1.5e20, "-150000000000000000000.0"),
        (-0.0, '"\\u001b-0.0"'),
        (5e-324, "5e-324"),
        (-0.05, "-0.05"),
        (10**16, "10000000000000000"),
        ("a\x00b", '"a\\u001b0000b"'),
        ("\ud800", '"\\u001bd800"'),
        ("\x1b[0m", '"\\u001b001b[0m"'),
        ("c++ and e+5", '"c++ and e+5"'),
        ("\\u0000", '"\\\\u0000"'),
        ("\x1b-0.0", '"\\u001b001b-0.0"'),
        ("\x1b1e+16", '"\\u001b001b1e+16"'),
    ],
)
def test_how_a_value_is_written(value: Any, text: str) -> None:
    """Only what jsonb would refuse or change is written in another way, and is read back."""
    assert encoding.dump({"v": value}) == f'{{"v":{text}}}'
    back = encoding.load(encoding.dump({"v": value}))["v"]
    assert back == value
    assert type(back) is type(value)


SAFE = st.text(st.characters(exclude_categories=[]), max_size=8)
SPECIAL = st.sampled_from(
    ["\x1b-0.0", "\x1b0000", "\x1b1e+16", "\\u001b", "\x00", "e+", "\ud83d\ude00"]
)
TEXT = st.one_of(SAFE, SPECIAL)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def identical(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, in type and in the sign of zero too."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(identical, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


@settings(max_examples=40, deadline=None)
@given(payloads=st.lists(st.dictionaries(TEXT, VALUES, max_size=4), min_size=1, max_size=40))
def test_any_payload_comes_back(payloads: list[dict[str, Any]], postgres_url: str) -> None:
    """Whatever is written is read back, the same in type, single and in bulk."""
    with PostgresMemoryDb("notes", "payloads", postgres_url) as db:
        db.clear()
        db.upsert_memories(MemoryRow(p, str(n), "bulk") for n, p in enumerate(payloads))
        db.upsert_memory(MemoryRow(payloads[0], "single", "one"))
        for n, row in enumerate(db.read_memories("bulk", sort="asc")):
            assert identical(row.memory, payloads[n])
        single = db.read_memory("single")
        assert single is not None
        assert identical(single.memory, payloads[0])
