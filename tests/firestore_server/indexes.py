"""Which queries production answers from the automatic single-field indexes (INDEXES).

Every field has an ascending and a descending index, entries of equal values standing in the
order of the documents' names, and an array-contains index. They serve

* one field with ranges, ordered by this field;
* any number of equalities, without an order or ordered by name, by merging indexes;
* an order by one field, without other filters;
* one array-contains, alone.

A sum or average needs its field in the index, as an order by it would: without other fields its own
index serves (https://firebase.google.com/docs/firestore/query-data/aggregation-queries).

Everything else needs a composite index, which this server never has. Queries of collection
groups need indexes with that scope, which are not automatic either.
"""

from __future__ import annotations

from tests.firestore_server.filters import CONTAINS, EQUALITY, INEQUALITY, NAME, Condition
from tests.firestore_server.names import FieldPath
from tests.firestore_server.protocol import Refusal

Orders = list[tuple[FieldPath, bool]]
"""Fields to sort by, each with whether it is descending."""


def check(choices: list[list[Condition]], orders: Orders, group: bool) -> None:
    """Refuse a query that needs more than the automatic indexes."""
    for conditions in choices:
        reason = _missing(conditions, orders)
        if reason is None and group and (conditions or any(path != NAME for path, _ in orders)):
            reason = "a collection group scope"
        if reason is not None:
            raise Refusal(
                "FAILED_PRECONDITION",
                f"The query requires an index ({reason}). You can create it here: "
                "https://console.firebase.google.com/project/_/firestore/indexes",
            )


def _missing(conditions: list[Condition], orders: Orders) -> str | None:
    """Return what kind of index is missing, or None."""
    fields = [(path, down) for path, down in orders if path != NAME]
    names = [down for path, down in orders if path == NAME]
    equal = {c.path for c in conditions if c.kind == EQUALITY}
    ranged = {c.path for c in conditions if c.kind == INEQUALITY}
    contains = [c for c in conditions if c.kind == CONTAINS]
    sorted_by = {path for path, _ in fields} - equal
    if names and fields and names[-1] != fields[-1][1]:
        return "the order of names differs from that of the field"
    if len(sorted_by | (ranged - {NAME})) > 1:
        return "more than one field with ranges or orders"
    others = (sorted_by | ranged) - {NAME}
    if equal - {NAME} and others - equal:
        return "an equality together with a range or order of another field"
    if contains and (len(conditions) > 1 or others):
        return "array-contains together with another condition"
    if NAME in ranged and others:
        return "a range of names together with another field"
    if names and names[-1] and not fields and not equal:
        return "names in descending order"
    return None
