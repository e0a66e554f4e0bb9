"""What LangGraph selects by: filters of values, patterns of namespaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langgraph.store.base import ListNamespacesOp, MatchCondition

from buddy.memory import payload
from buddy.memory.errors import ConfigError, InvalidMemoryError

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: bool(value == wanted),
    "$ne": lambda value, wanted: bool(value != wanted),
    "$gt": lambda value, wanted: _ordered(value, wanted) and value > wanted,
    "$gte": lambda value, wanted: _ordered(value, wanted) and value >= wanted,
    "$lt": lambda value, wanted: _ordered(value, wanted) and value < wanted,
    "$lte": lambda value, wanted: _ordered(value, wanted) and value <= wanted,
}
_ORDERS = {"$gt", "$gte", "$lt", "$lte"}


def parse_filter(wanted: Any) -> dict[str, Any]:
    """Return a filter with its values as they are stored.

    Raises ConfigError for one of a wrong type, for an operator that LangGraph does not have, and
    for a value that no item can hold.
    """
    if not isinstance(wanted, Mapping):
        raise ConfigError(f"filter must be a mapping, not {type(wanted).__name__}")
    for key in wanted:
        if str(key).startswith("$"):
            raise ConfigError(f"filter: the operator {key} belongs below the key that it compares")
    parsed: dict[str, Any] = _parsed(wanted)
    return parsed


def _parsed(wanted: Any) -> Any:
    if isinstance(wanted, Mapping):
        for key in wanted:
            if not isinstance(key, str):
                raise ConfigError(f"filter: a key must be a str, not {key!r:.80}")
        parsed = {key: _parsed(value) for key, value in wanted.items()}
        if any(key.startswith("$") for key in parsed):
            _check_operators(parsed)
        return parsed
    if isinstance(wanted, (list, tuple)):
        return [_parsed(value) for value in wanted]
    if isinstance(wanted, (int, float)):  # Infinity too: all numbers are less.
        return wanted
    try:
        return payload.encode({"value": wanted}, "filter")["value"]
    except InvalidMemoryError as error:
        raise ConfigError(f"no item fits the filter: {error}") from None


def _check_operators(wanted: Mapping[str, Any]) -> None:
    for key, operand in wanted.items():
        if key not in _OPERATORS:
            raise ConfigError(f"filter: Unsupported operator: {key}")
        if key in _ORDERS and not (_is_number(operand) or isinstance(operand, str)):
            raise ConfigError(f"filter: {key} takes a number or a str, not {operand!r:.80}")


def fits(value: Any, wanted: Any) -> bool:
    """Tell whether a value is what a filter wants: nested objects by what they name, lists by each
    element, the rest by equality."""
    if isinstance(wanted, Mapping):
        if any(key.startswith("$") for key in wanted):
            return all(_OPERATORS[key](value, operand) for key, operand in wanted.items())
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
    both_texts = isinstance(value, str) and isinstance(wanted, str)
    return both_texts or (_is_number(value) and _is_number(wanted))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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
