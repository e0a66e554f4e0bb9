"""Filters: ``where`` selects rows by their payload, with one meaning on every backend (rule R20).

    where={"topics": {"$contains": "food"}, ("profile", "age"): {"$gte": 18}, "source": "chat"}

All conditions hold. A string key is one top-level key of the payload, whatever characters it has; a
tuple is a path through nested objects. A value is something to be equal to, or a mapping of
operators, when every key of it is one:

| Operator | Holds where the field |
|---|---|
| ``$eq``, ``$ne`` | equals the operand, or does not |
| ``$gt``, ``$gte``, ``$lt``, ``$lte`` | is ordered so against the operand |
| ``$in``, ``$nin`` | equals one of the operands, or none |
| ``$contains`` | is a list with an element that equals the operand, or a text that contains it |
| ``$exists`` | is there (True), or is missing (False) |

JSON types are strict: ``1 == 1.0``, ``True != 1``, ``"2" != 2``. Order exists within numbers and
within strings (by code point). A missing field is not None; it satisfies ``$ne``, ``$nin`` and
``$exists: False`` only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from buddy.memory import payload
from buddy.memory.errors import ConfigError, InvalidMemoryError

MISSING = object()
"""What a path leads to where there is no such field."""

Where = Mapping[Any, Any]
"""Conditions by key or path; see above."""

Test = Callable[[Any, Any], bool]


class Condition(NamedTuple):
    """One condition: the field at ``path``, held against ``operand``."""

    path: tuple[str, ...]
    operator: str
    operand: Any

    def holds(self, content: Mapping[str, Any]) -> bool:
        """Tell whether a payload satisfies the condition."""
        return _TESTS[self.operator](_field(content, self.path), self.operand)


class Filter(NamedTuple):
    """A parsed ``where``: conditions that all have to hold. One without conditions takes all."""

    conditions: tuple[Condition, ...] = ()

    def matches(self, content: Mapping[str, Any]) -> bool:
        """Tell whether a payload satisfies every condition."""
        return all(condition.holds(content) for condition in self.conditions)


ANY = Filter()
"""The filter that every row passes."""


def parse(where: Any) -> Filter:
    """Return the filter of a ``where``; None and ``{}`` select every row.

    Raises ConfigError that names the condition for an unknown operator, an operand of a wrong type,
    and a key that is neither a str nor a tuple of them.
    """
    if where is None:
        return ANY
    if not isinstance(where, Mapping):
        raise ConfigError(f"where must be a mapping, not {type(where).__name__}")
    return Filter(tuple(c for key, value in where.items() for c in _conditions(key, value)))


def canonical(where: Filter) -> str:
    """Return a text that equal filters share, for a digest."""
    return payload.canonical_json([list(condition) for condition in where.conditions])


def same(one: Any, other: Any) -> bool:
    """Tell whether two JSON values are equal, types included; ``1 == 1.0``."""
    if _is_number(one) and _is_number(other):
        return bool(one == other)
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def _conditions(key: Any, value: Any) -> list[Condition]:
    path = (key,) if isinstance(key, str) else key
    if not (isinstance(path, tuple) and path and all(isinstance(part, str) for part in path)):
        raise ConfigError(f"where: a key must be a str or a tuple of str, not {key!r:.80}")
    if not (isinstance(value, Mapping) and value and all(_is_operator(name) for name in value)):
        value = {"$eq": value}
    return [_condition(path, str(name), operand) for name, operand in value.items()]


def _condition(path: tuple[str, ...], operator: str, operand: Any) -> Condition:
    place = f"where: {'.'.join(path)!r:.80} {operator}"
    if operator not in _TESTS:
        known = ", ".join(_TESTS)
        raise ConfigError(f"{place}: there is no such operator; there are {known}")
    if operator == "$exists" and not isinstance(operand, bool):
        raise ConfigError(f"{place} takes True or False, not {operand!r:.80}")
    if operator in ("$in", "$nin") and not isinstance(operand, (list, tuple, set, frozenset)):
        raise ConfigError(f"{place} takes a list of values, not {operand!r:.80}")
    if operator in ("$gt", "$gte", "$lt", "$lte") and not (
        _is_number(operand) or isinstance(operand, str)
    ):
        raise ConfigError(f"{place} takes a number or a str, not {operand!r:.80}")
    try:
        return Condition(path, operator, payload.encode({"operand": _plain(operand)})["operand"])
    except InvalidMemoryError as error:
        raise ConfigError(f"{place}: no payload holds such a value: {error}") from error


def _plain(operand: Any) -> Any:
    return list(operand) if isinstance(operand, (tuple, set, frozenset)) else operand


def _is_operator(name: Any) -> bool:
    return isinstance(name, str) and name.startswith("$")


def _field(content: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not (isinstance(content, Mapping) and part in content):
            return MISSING
        content = content[part]
    return content


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ordered(holds: Callable[[Any, Any], bool]) -> Test:
    """Return the test of an order, which exists within numbers and within strings only."""

    def test(value: Any, operand: Any) -> bool:
        both_numbers = _is_number(value) and _is_number(operand)
        both_texts = isinstance(value, str) and isinstance(operand, str)
        return (both_numbers or both_texts) and holds(value, operand)

    return test


def _contains(value: Any, operand: Any) -> bool:
    if isinstance(value, list):
        return any(same(element, operand) for element in value)
    return isinstance(value, str) and isinstance(operand, str) and operand in value


def _is_in(value: Any, operands: list[Any]) -> bool:
    return any(same(value, operand) for operand in operands)


_TESTS: dict[str, Test] = {
    "$eq": same,
    "$ne": lambda value, operand: not same(value, operand),
    "$gt": _ordered(lambda value, operand: value > operand),
    "$gte": _ordered(lambda value, operand: value >= operand),
    "$lt": _ordered(lambda value, operand: value < operand),
    "$lte": _ordered(lambda value, operand: value <= operand),
    "$in": _is_in,
    "$nin": lambda value, operands: not _is_in(value, operands),
    "$contains": _contains,
    "$exists": lambda value, operand: (value is not MISSING) is operand,
}
