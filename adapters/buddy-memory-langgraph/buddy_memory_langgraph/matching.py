"""What LangGraph selects by: filters of values, patterns of namespaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langgraph.store.base import ListNamespacesOp, MatchCondition

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$gt": lambda value, wanted: _ordered(value, wanted) and value > wanted,
    "$gte": lambda value, wanted: _ordered(value, wanted) and value >= wanted,
    "$lt": lambda value, wanted: _ordered(value, wanted) and value < wanted,
    "$lte": lambda value, wanted: _ordered(value, wanted) and value <= wanted,
}


def check_filter(wanted: Any) -> None:
    """Raise ValueError for an operator that LangGraph does not have."""
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            if str(key).startswith("$") and key not in _OPERATORS:
                raise ValueError(f"Unsupported operator: {key}")
            check_filter(value)


def fits(value: Any, wanted: Any) -> bool:
    """Tell whether a value is what a filter wants: nested objects by what they name, lists by each
    element, the rest by equality."""
    if isinstance(wanted, Mapping):
        if any(str(key).startswith("$") for key in wanted):
            return all(
                _OPERATORS[key](value, operand) if key in _OPERATORS else False
                for key, operand in wanted.items()
            )
        return isinstance(value, Mapping) and all(
            fits(value.get(key), inner) for key, inner in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(wanted)
            and all(map(fits, value, wanted))
        )
    return bool(value == wanted)


def _ordered(value: Any, wanted: Any) -> bool:
    """Tell whether two values can be compared: two numbers, or two texts; true is no number."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return False
    return (isinstance(value, str) and isinstance(wanted, str)) or (
        isinstance(value, (int, float)) and isinstance(wanted, (int, float))
    )


def common_prefix(op: ListNamespacesOp) -> tuple[str, ...]:
    """Return the longest path that every namespace of the answer begins with."""
    longest: tuple[str, ...] = ()
    for condition in op.match_conditions or ():
        if condition.match_type == "prefix":
            path = condition.path
            literal = path[: path.index("*")] if "*" in path else path
            longest = max(longest, tuple(literal), key=len)
    return longest


def matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    """Tell whether a namespace begins, or ends, with the condition's path; ``*`` is any label."""
    path = condition.path
    if len(namespace) < len(path):
        return False
    if condition.match_type == "prefix":
        part = namespace[: len(path)]
    elif condition.match_type == "suffix":
        part = namespace[len(namespace) - len(path) :]
    else:
        raise ValueError(f"Unsupported match type: {condition.match_type}")
    return all(label in ("*", own) for label, own in zip(path, part, strict=True))
