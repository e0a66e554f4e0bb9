"""Which documents a query has to look at.

This only narrows down: filters, order and cursors are tried on each candidate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.firestore_server.field_index import FieldIndex
from tests.firestore_server.filters import EQUALITY, INEQUALITY, NAME, Condition
from tests.firestore_server.indexes import Orders
from tests.firestore_server.names import FieldPath
from tests.firestore_server.protocol import FieldFilter
from tests.firestore_server.values import NUMBER


class Wanted(NamedTuple):
    """What a query asks for: alternatives, order, the value it starts at, how many at most."""

    choices: list[list[Condition]]
    orders: Orders
    start: Any
    limit: int | None


def field_of(wanted: Wanted) -> FieldPath | None:
    """Return the field by whose index the candidates are found, or None: look at all documents."""
    paths = {c.path for conditions in wanted.choices for c in conditions}
    paths |= {path for path, _ in wanted.orders if path != NAME}
    return paths.pop() if len(paths) == 1 and NAME not in paths else None


def candidates(index: FieldIndex, wanted: Wanted) -> list[str]:
    """Return the ids of all documents that the query may find, up to its limit."""
    choices = wanted.choices
    if all(conditions and conditions[0].kind == EQUALITY for conditions in choices):
        keys = dict.fromkeys(conditions[0].operands[0] for conditions in choices)
        return [id for key in keys for id in index.ids(index.first(key), index.beyond(key))]
    if len(choices) > 1 or any(c.kind != INEQUALITY or c.operator == "!=" for c in choices[0]):
        return index.ids(0, len(index.entries))
    return _in_range(index, wanted)


def _in_range(index: FieldIndex, wanted: Wanted) -> list[str]:
    low, high = 0, len(index.entries)
    for condition in wanted.choices[0]:
        first, beyond = _span(index, condition)
        low, high = max(low, first), min(high, beyond)
    down, ties = wanted.orders[0][1], 0
    if wanted.start is not None:
        first, beyond = index.first(wanted.start), index.beyond(wanted.start)
        ties = beyond - first  # A cursor may begin behind some of these.
        low, high = (low, min(high, beyond)) if down else (max(low, first), high)
    if wanted.limit is not None and down:
        low = max(low, high - ties - wanted.limit)
    elif wanted.limit is not None:
        high = min(high, low + ties + wanted.limit)
    return index.ids(low, high)


def _span(index: FieldIndex, condition: Condition) -> tuple[int, int]:
    """Return where the values begin and end that meet a condition, which are of one type."""
    bound, operator = condition.operands[0], condition.operator
    kind = bound[0]
    low = index.first((kind, 1) if kind == NUMBER else (kind,))  # Not NaN, which comes first.
    high = index.first((kind + 1,))
    if operator == FieldFilter.GREATER_THAN:
        low = index.beyond(bound)
    elif operator == FieldFilter.GREATER_THAN_OR_EQUAL:
        low = max(low, index.first(bound))
    elif operator == FieldFilter.LESS_THAN:
        high = index.first(bound)
    else:
        high = index.beyond(bound)
    return low, high
