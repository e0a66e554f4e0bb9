"""Filters: parsed into alternatives of plain conditions, and tried on documents (RPC: Filter)."""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

from tests.firestore_server.documents import Stored
from tests.firestore_server.names import FieldPath, field_path
from tests.firestore_server.protocol import (
    CompositeFilter,
    FieldFilter,
    UnaryFilter,
    Value,
    invalid,
)
from tests.firestore_server.values import NULL, NUMBER, REFERENCE, find, order_key

NAME: FieldPath = ("__name__",)
MAX_DISJUNCTIONS = 30
EQUALITY, CONTAINS, INEQUALITY = "equality", "array-contains", "inequality"
NAN = (NUMBER, 0, 0)

_RANGES = {
    FieldFilter.LESS_THAN: lambda key, bound: key < bound,
    FieldFilter.LESS_THAN_OR_EQUAL: lambda key, bound: key <= bound,
    FieldFilter.GREATER_THAN: lambda key, bound: key > bound,
    FieldFilter.GREATER_THAN_OR_EQUAL: lambda key, bound: key >= bound,
}


class Condition(NamedTuple):
    """One comparison: the field, its operator, the operands, and how an index would serve it."""

    path: FieldPath
    operator: Any
    operands: tuple[Any, ...]
    kind: str

    def holds(self, document: Stored) -> bool:
        """Tell whether a document meets the condition."""
        key = document.key(self.path)
        if key is None:
            return False  # A document without the field is in no index of it.
        if self.kind == CONTAINS:
            value = find(document.fields, self.path)
            return any(order_key(item) in self.operands for item in value.array_value.values)
        if self.operator == "!=":
            return key != (NULL,) and key not in self.operands
        if self.operator == "==":
            return key in self.operands
        bound = self.operands[0]
        return key[0] == bound[0] and key != NAN and _RANGES[self.operator](key, bound)


def name_key(name: str) -> tuple[Any, ...]:
    """Return the sort key of a document's full name."""
    return (REFERENCE, tuple(step.encode() for step in name.split("/")))


def alternatives(filter: Any) -> list[list[Condition]]:
    """Return the filter as alternatives (OR) of conditions that all must hold (AND)."""
    kind = filter.WhichOneof("filter_type")
    if kind is None:
        return [[]]
    if kind == "field_filter":
        found = _field_filter(filter.field_filter)
    elif kind == "unary_filter":
        found = [[_unary(filter.unary_filter)]]
    else:
        found = _composite(filter.composite_filter)
    if len(found) > MAX_DISJUNCTIONS:  # LIMITS: queries
        raise invalid(f"a query has more than {MAX_DISJUNCTIONS} disjunctions")
    return found


def _composite(filter: Any) -> list[list[Condition]]:
    if not filter.filters:
        raise invalid("a composite filter needs at least one filter")
    parts = [alternatives(part) for part in filter.filters]
    if filter.op == CompositeFilter.OR:
        return [conditions for part in parts for conditions in part]
    if filter.op != CompositeFilter.AND:
        raise invalid("a composite filter needs an operator")
    return [[c for conditions in chosen for c in conditions] for chosen in product(*parts)]


def _unary(filter: Any) -> Condition:
    path = field_path(filter.field.field_path)
    if filter.op == UnaryFilter.IS_NULL:
        return Condition(path, "==", ((NULL,),), EQUALITY)
    if filter.op == UnaryFilter.IS_NAN:
        return Condition(path, "==", (NAN,), EQUALITY)
    if filter.op == UnaryFilter.IS_NOT_NULL:
        return Condition(path, "!=", ((NULL,),), INEQUALITY)
    if filter.op == UnaryFilter.IS_NOT_NAN:
        return Condition(path, "!=", (NAN,), INEQUALITY)
    raise invalid("a unary filter needs an operator")


def _field_filter(filter: Any) -> list[list[Condition]]:
    path, op, value = field_path(filter.field.field_path), filter.op, filter.value
    if op in (FieldFilter.IN, FieldFilter.ARRAY_CONTAINS_ANY, FieldFilter.NOT_IN):
        if value.WhichOneof("value_type") != "array_value" or not value.array_value.values:
            raise invalid("IN, NOT_IN and ARRAY_CONTAINS_ANY need a non-empty array")
        operands = list(value.array_value.values)
    else:
        operands = [value]
    _check_operands(path, operands)
    keys = tuple(order_key(operand) for operand in operands)
    if op in (FieldFilter.EQUAL, FieldFilter.IN):
        return [[Condition(path, "==", (key,), EQUALITY)] for key in keys]
    if op in (FieldFilter.ARRAY_CONTAINS, FieldFilter.ARRAY_CONTAINS_ANY):
        return [[Condition(path, "contains", (key,), CONTAINS)] for key in keys]
    if op in (FieldFilter.NOT_EQUAL, FieldFilter.NOT_IN):
        if len(keys) > 10:  # RPC, NOT_IN: "with at most 10 values"
            raise invalid("NOT_IN takes at most 10 values")
        return [[Condition(path, "!=", keys, INEQUALITY)]]
    if op in _RANGES:
        return [[Condition(path, op, keys, INEQUALITY)]]
    raise invalid("a field filter needs an operator")


def _check_operands(path: FieldPath, operands: list[Any]) -> None:
    for operand in operands:
        if operand == Value():
            raise invalid("a filter needs a value")
        if path == NAME and operand.WhichOneof("value_type") != "reference_value":
            raise invalid("__key__ filter value must be a Key")
