"""The strict server's indexes only save time: queries find the same without them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tests.firestore_server import queries
from tests.firestore_server.documents import Database, Stored
from tests.firestore_server.protocol import Query, Refusal, Value

VALUES = [
    {"null_value": 0},
    {"boolean_value": True},
    {"double_value": float("nan")},
    {"integer_value": -1},
    {"double_value": 1.5},
    {"integer_value": 2},
    {"string_value": ""},
    {"string_value": "a"},
    {"string_value": "é"},
    {"bytes_value": b"a"},
    {"array_value": {"values": [{"integer_value": 2}]}},
]
OPERATORS = ["LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "EQUAL"]

values = st.sampled_from(VALUES)
filters = st.tuples(st.sampled_from([*OPERATORS, "NOT_EQUAL", "IN"]), values)
writes = st.lists(st.tuples(st.integers(0, 9), st.none() | values), min_size=1, max_size=30)


def query_of(
    conditions: list[Any], order: str | None, start: Any, before: bool, limit: int | None
) -> Any:
    query = Query()
    query.from_.add().collection_id = "c"
    query.where.composite_filter.op = 1 if conditions else 0
    for name, value in conditions:
        part = query.where.composite_filter.filters.add().field_filter
        part.field.field_path, part.op = "f", Query.FieldFilter.Operator.Value(name)
        part.value.CopyFrom(Value(**value))
        if name == "IN":
            part.value.CopyFrom(Value(array_value={"values": [Value(**value), Value(**VALUES[5])]}))
    if not conditions:
        query.ClearField("where")
    if order is not None:
        query.order_by.add(field={"field_path": "f"}, direction=order)
        if start is not None:
            query.start_at.values.add().CopyFrom(Value(**start))
            query.start_at.before = before
    if limit is not None:
        query.limit.value = limit
    return query


def ids(database: Database, query: Any) -> Any:
    try:
        return [document.id for document in queries.run(database, "", query).documents]
    except Refusal as refusal:
        return refusal.text


queried = st.builds(
    query_of,
    st.lists(filters, max_size=2),
    st.sampled_from([None, "ASCENDING", "DESCENDING"]),
    st.none() | values,
    st.booleans(),
    st.none() | st.integers(1, 4),
)


@given(writes, writes, queried)
def test_an_index_changes_no_answer(before: list[Any], after: list[Any], query: Any) -> None:
    """Any query finds the same documents in the same order with and without an index."""
    database = Database("projects/p/databases/d")

    def write(some: list[Any]) -> None:
        for n, value in some:
            stored = value and Stored(f"c/{n}", {"f": Value(**value)}, 1, 1)
            database.put(f"c/{n}", stored)

    write(before)
    ids(database, query)  # From here on the index follows the writes.
    write(after)
    with patch.object(queries, "field_of", lambda _: None):
        expected = ids(database, query)
    assert ids(database, query) == expected
