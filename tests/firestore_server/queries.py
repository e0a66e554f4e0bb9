"""Structured queries and aggregations (RPC: StructuredQuery, StructuredAggregationQuery)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cmp_to_key
from typing import Any, NamedTuple

from tests.firestore_server import indexes
from tests.firestore_server.documents import Database, Stored
from tests.firestore_server.filters import NAME, Condition, alternatives, name_key
from tests.firestore_server.names import FieldPath, check_id, field_path
from tests.firestore_server.protocol import DESCENDING, Refusal, Value, invalid
from tests.firestore_server.scans import Wanted, candidates, field_of
from tests.firestore_server.values import find, order_key

_SUMMED = ("sum", "avg")


class Result(NamedTuple):
    """The documents found, how many were skipped by the offset, and the fields asked for."""

    documents: list[Stored]
    skipped: int
    mask: list[FieldPath] | None


class _Plan(NamedTuple):
    database: Database
    parent: str
    collection_id: str
    group: bool
    choices: list[list[Condition]]
    orders: indexes.Orders


def run(
    database: Database, parent: str, query: Any, aggregated: Sequence[FieldPath] = ()
) -> Result:
    """Answer a query; refuse one that is malformed or needs a composite index.

    The fields of sums and averages are needed as if the query were sorted by them: an index has to
    hold them, and a document without one of them is in no such index.
    """
    plan = _plan(database, parent, query, aggregated)
    indexes.check(plan.choices, plan.orders, plan.group)
    if query.offset < 0 or (query.HasField("limit") and query.limit.value < 0):
        raise invalid("offset and limit must not be negative")
    rows = [(_keys(plan, document), document) for document in _matching(plan, query)]
    if len({down for _, down in plan.orders}) == 1:  # Much faster than comparing one by one.
        rows.sort(key=lambda row: row[0], reverse=plan.orders[0][1])
    else:
        rows.sort(key=cmp_to_key(lambda a, b: _compare(plan, a[0], b[0])))
    rows = _between(plan, query, rows)
    skipped = rows[: query.offset]
    rows = rows[query.offset :]
    if query.HasField("limit"):
        rows = rows[: query.limit.value]
    return Result([document for _, document in rows], len(skipped), _mask(query))


def _plan(database: Database, parent: str, query: Any, aggregated: Sequence[FieldPath]) -> _Plan:
    if len(query.from_) != 1:
        raise invalid("a query names exactly one collection")
    if query.HasField("find_nearest"):
        raise Refusal("UNIMPLEMENTED", "this server has no vector search")
    (selector,) = query.from_
    check_id(selector.collection_id, "Collection id")
    choices = alternatives(query.where)
    orders = [(field_path(o.field.field_path), o.direction == DESCENDING) for o in query.order_by]
    return _Plan(
        database,
        parent,
        selector.collection_id,
        selector.all_descendants,
        choices,
        _with_implicit(orders, choices, aggregated),
    )


def _with_implicit(
    orders: indexes.Orders, choices: list[list[Condition]], aggregated: Sequence[FieldPath]
) -> indexes.Orders:
    """Add what RPC (StructuredQuery.order_by) adds: fields with inequalities, and the name; before
    it those that are aggregated."""
    orders = list(orders)
    ranged = {c.path for conditions in choices for c in conditions if c.kind == "inequality"}
    down = orders[-1][1] if orders else False
    for path in sorted(ranged - {path for path, _ in orders} - {NAME}):
        orders.append((path, down))
    given = {path for path, _ in orders}
    orders += [(path, down) for path in dict.fromkeys(aggregated) if path not in given]
    if NAME not in given:
        orders.append((NAME, orders[-1][1] if orders else False))
    return orders


def _matching(plan: _Plan, query: Any) -> list[Stored]:
    fields = [path for path, _ in plan.orders if path != NAME]
    found = []
    for document in _candidates(plan, query):
        if NAME not in document.keys:
            document.keys[NAME] = name_key(f"{plan.database.name}/documents/{document.path}")
        # A document without the field that is sorted by is not in the index, and not found.
        if all(document.key(path) is not None for path in fields) and any(
            all(condition.holds(document) for condition in conditions)
            for conditions in plan.choices
        ):
            found.append(document)
    return found


def _candidates(plan: _Plan, query: Any) -> Iterable[Stored]:
    start = _cursor(plan, query, query.start_at)[0] if query.HasField("start_at") else None
    limit = query.offset + query.limit.value if query.HasField("limit") else None
    wanted = Wanted(plan.choices, plan.orders, start, limit)
    path = None if plan.group else field_of(wanted)
    if path is None:
        return plan.database.within(plan.parent, plan.collection_id, plan.group)
    collection = f"{plan.parent}/{plan.collection_id}" if plan.parent else plan.collection_id
    documents = plan.database.collections.get(collection, {})
    return [documents[id] for id in candidates(plan.database.index(collection, path), wanted)]


def _keys(plan: _Plan, document: Stored) -> list[Any]:
    return [document.key(path) for path, _ in plan.orders]


def _compare(plan: _Plan, a: list[Any], b: list[Any]) -> int:
    """Compare as many keys as both have; a cursor may give only the first ones."""
    for left, right, (_, down) in zip(a, b, plan.orders, strict=False):
        if left != right:
            return 1 if (left < right) == down else -1
    return 0


def _between(plan: _Plan, query: Any, rows: list[Any]) -> list[Any]:
    if query.HasField("start_at"):
        start = _cursor(plan, query, query.start_at)
        least = 0 if query.start_at.before else 1
        rows = [row for row in rows if _compare(plan, row[0], start) >= least]
    if query.HasField("end_at"):
        end = _cursor(plan, query, query.end_at)
        most = -1 if query.end_at.before else 0
        rows = [row for row in rows if _compare(plan, row[0], end) <= most]
    return rows


def _cursor(plan: _Plan, query: Any, cursor: Any) -> list[Any]:
    """RPC, Cursor: a prefix of the values of the *given* orders, a name being a reference."""
    given = len(query.order_by) or len(plan.orders)
    if not 0 < len(cursor.values) <= given:
        raise invalid("Cursor has too many values." if cursor.values else "Cursor is empty.")
    prefix = f"{plan.database.name}/documents/"
    for value, (path, _) in zip(cursor.values, plan.orders, strict=False):
        if path == NAME and not value.reference_value.startswith(prefix):
            raise invalid("Cursor position for __name__ must be a document of this database.")
    return [order_key(value) for value in cursor.values]


def _mask(query: Any) -> list[FieldPath] | None:
    if not query.HasField("select"):
        return None
    paths = [field_path(field.field_path) for field in query.select.fields]
    return [path for path in paths if path != NAME]


def aggregate(database: Database, parent: str, query: Any) -> tuple[dict[str, Any], int]:
    """Return the values by alias, and how many index entries were counted."""
    if not 1 <= len(query.aggregations) <= 5:  # RPC: aggregations
        raise invalid("a query has one to five aggregations")
    fields = [
        getattr(a, kind).field.field_path
        for a in query.aggregations
        for kind in _SUMMED
        if a.HasField(kind)
    ]
    aggregated = [field_path(text) for text in fields]
    found = run(database, parent, query.structured_query, aggregated).documents
    values: dict[str, Any] = {}
    for i, aggregation in enumerate(query.aggregations):
        values[aggregation.alias or f"field_{i + 1}"] = _aggregate(aggregation, found)
    return values, len(found)


def _aggregate(aggregation: Any, found: list[Stored]) -> Any:
    kind = aggregation.WhichOneof("operator")
    if kind == "count":
        limit = aggregation.count.up_to.value
        return Value(integer_value=min(len(found), limit) if limit else len(found))
    if kind not in _SUMMED:
        raise invalid("an aggregation needs an operator")
    path = field_path(getattr(aggregation, kind).field.field_path)
    values = [find(document.fields, path) for document in found]
    numbers = [
        getattr(value, which)
        for value in values
        if value is not None
        and (which := value.WhichOneof("value_type")) in ("integer_value", "double_value")
    ]
    if kind == "avg":
        return Value(double_value=sum(numbers) / len(numbers)) if numbers else Value(null_value=0)
    total = sum(numbers)
    if isinstance(total, float) or not -(2**63) <= total < 2**63:  # RPC (Sum): on overflow a double
        return Value(double_value=total)
    return Value(integer_value=total)
