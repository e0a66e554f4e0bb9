"""Payloads: what a row's JSON object may hold, and the one form in which it is stored (rule R8).

| Python                     | stored as                               |
|----------------------------|-----------------------------------------|
| dict (or any Mapping)      | object; keys are strings                |
| list, tuple                | array                                   |
| str, bool, None            | themselves                              |
| int                        | number, ``-2**63`` … ``2**63 - 1``      |
| float                      | number, finite                          |
| datetime, date             | ISO 8601 string (``isoformat()``)       |
| UUID, Decimal              | string (``str()``), Decimal finite      |
| Enum                       | its value                               |
| dataclass instance         | object of its fields                    |
| pydantic model             | object (``model_dump()``)               |

Everything else is refused with the path of the bad value, before any I/O, and so are objects
nested deeper than ``MAX_DEPTH`` levels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from buddy.memory import compact
from buddy.memory.errors import InvalidMemoryError

MAX_DEPTH = 64
"""Levels of nesting: what every backend can hold, with room for its own wrapping."""

# Subclasses of these are stored as what they are, whatever their own methods say of them: a str
# whose __str__ answers something else would be stored as that.
_BASES: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (list, list.copy),
    (tuple, tuple.__iter__),
)
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"


def encode(payload: Any, name: str = "memory") -> dict[str, Any]:
    """Return a deep copy of ``payload`` that holds JSON types only.

    Raises InvalidMemoryError naming the path of the first value that cannot be stored.
    """
    try:
        value = _encode(payload, 0)
    except _Refused as refused:
        raise InvalidMemoryError(refused.reason, _path(name, refused.steps[::-1])) from None
    if type(value) is not dict:
        raise InvalidMemoryError(
            f"must be a JSON object (a dict), not {_kind(payload)}", _path(name)
        )
    return value


class _Refused(Exception):
    """A value that cannot be stored. Its path grows on the way out: keeping it on the way in would
    cost every payload something."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.steps: list[Any] = []

    def below(self, step: Any) -> _Refused:
        """Return the error, seen from one level further up."""
        self.steps.append(step)
        return self


def _encode(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is dict:
        return _encode_mapping(value, depth)
    if kind is list or kind is tuple:
        return _encode_items(value, depth)
    if kind is float:
        if isfinite(value):
            return value
        raise _Refused(f"{value!r} is not a JSON number")
    if kind is int:
        if _INT_MIN <= value <= _INT_MAX:
            return value
        raise _Refused("an int must fit into 64 bits; store it as a string")
    if kind is str or value is None or kind is bool:
        return value
    return _encode_rarer(value, depth)


# Strings are most of what is stored, and are taken at once below: it spares a call for each.


def _encode_items(value: Iterable[Any], depth: int) -> list[Any]:
    if depth >= MAX_DEPTH:
        raise _Refused(_TOO_DEEP)
    result: list[Any] = []
    for item in value:
        try:
            result.append(item if type(item) is str else _encode(item, depth + 1))
        except _Refused as refused:
            raise refused.below(len(result)) from None
    return result


def _encode_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    if depth >= MAX_DEPTH:
        raise _Refused(_TOO_DEEP)
    result: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str:
            key = _check_key(key)
        try:
            result[key] = item if type(item) is str else _encode(item, depth + 1)
        except _Refused as refused:
            raise refused.below(key) from None
    return result


def _check_key(key: Any) -> str:
    if not isinstance(key, str):
        raise _Refused(f"the key {key!r:.80} is {_kind(key)}; keys are strings")
    return str.__str__(key)  # Not str(): a str Enum would give the name of its member.


def _encode_rarer(value: Any, depth: int) -> Any:
    from dataclasses import fields, is_dataclass
    from datetime import date
    from decimal import Decimal
    from enum import Enum
    from uuid import UUID

    if isinstance(value, Enum):
        return _encode(value.value, depth)
    for base, plain in _BASES:
        if isinstance(value, base):
            found = plain(value)
            return _encode(tuple(found) if base is tuple else found, depth)
    if isinstance(value, date):  # datetime is a date
        return value.isoformat()
    if isinstance(value, UUID) or (isinstance(value, Decimal) and value.is_finite()):
        return str(value)
    if isinstance(value, Mapping):
        return _encode_mapping(value, depth)
    if is_dataclass(value) and not isinstance(value, type):
        return _encode_mapping({f.name: getattr(value, f.name) for f in fields(value)}, depth)
    dump = getattr(value, "model_dump", None)  # As pydantic's models have it.
    if callable(dump) and not isinstance(value, type):
        return _encode(dump(), depth)
    raise _Refused(f"{_kind(value)} cannot be stored as JSON")


def _kind(value: Any) -> str:
    return type(value).__name__


def _path(name: str, steps: Sequence[Any] = ()) -> str:
    """Return the path of a value as one would write it in Python; of a long one, its beginning."""
    parts = [name, *map(_step, steps)]
    return "".join(parts) if len(parts) < 12 else "".join(parts[:12]) + "…"


def _step(step: Any) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if step.isidentifier() else f"[{step!r:.80}]"


# --- text that a backend cannot hold ---------------------------------------------------------

_ESCAPE = "\x1b"
_SURROGATES = "\ud800-\udfff"
NEEDS_ESCAPE = f"[{_ESCAPE}{_SURROGATES}]"
"""Matches what is escaped for stores that hold Unicode text: surrogates, and the escape itself."""
NEEDS_ESCAPE_OR_NUL = f"[{_ESCAPE}{_SURROGATES}\x00]"
"""The same for stores that refuse U+0000 besides."""
# Compiled where they are first used: few payloads ever need it.


def escape(value: Any, unsafe: str | re.Pattern[str] = NEEDS_ESCAPE) -> Any:
    """Return an encoded ``value`` with the ``unsafe`` characters of all strings and keys escaped.

    A character becomes U+001B and its four hexadecimal digits; ``unescape`` turns it back.
    Strings without such characters stay as they are. ``unsafe`` must match U+001B itself.
    """
    if isinstance(value, str):
        return re.sub(unsafe, lambda found: f"{_ESCAPE}{ord(found[0]):04x}", value)
    if isinstance(value, dict):
        return {escape(key, unsafe): escape(item, unsafe) for key, item in value.items()}
    if isinstance(value, list):
        return [escape(item, unsafe) for item in value]
    return value


def unescape(value: Any) -> Any:
    """Undo ``escape``, in all strings and keys."""
    if isinstance(value, str):
        if _ESCAPE not in value:
            return value
        return re.sub(f"{_ESCAPE}([0-9a-f]{{4}})", lambda found: chr(int(found[1], 16)), value)
    if isinstance(value, dict):
        return {unescape(key): unescape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unescape(item) for item in value]
    return value


# --- JSON text -------------------------------------------------------------------------------


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_ESCAPE_IN_JSON = json.dumps(_ESCAPE)[1:-1]


def to_json(payload: dict[str, Any]) -> str:
    """Return an encoded payload as compact JSON text that is valid UTF-8."""
    text = compact.to_text(payload)
    if _ESCAPE_IN_JSON in text or not (text.isascii() or is_unicode(text)):
        text = compact.to_text(escape(payload))
    return text


def _parse(text: str) -> Any:
    # Blanks around it are rare, and to look for them takes as long as to read a small object.
    if text.startswith("{"):
        value, end = _decoder.raw_decode(text)
        if end == len(text):
            return value
    return _decoder.decode(text)


# What JSON text may say and no payload holds: floats beyond the largest, ints beyond 64 bits.
_MAY_BE_TOO_LARGE = re.compile(r"[0-9]{19}|[0-9][eE]\+?[0-9]{3}")


def from_json(text: str | bytes, *, around: int = 0) -> dict[str, Any]:
    """Return the payload that ``to_json`` wrote. Raises ValueError when it is no JSON object, or
    one that could not be written again. ``around`` is how many levels the text has above it."""
    if isinstance(text, bytes):
        text = text.decode()
    try:
        payload = _parse(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if type(payload) is not dict:
        raise ValueError(f"a JSON object was expected, not {_kind(payload)}")
    result: dict[str, Any] = unescape(payload) if _ESCAPE_IN_JSON in text else payload
    # Each level of nesting is a bracket: most texts have few.
    may_be_deep = text.count("{") + text.count("[") > MAX_DEPTH + around
    if may_be_deep or _MAY_BE_TOO_LARGE.search(text):
        try:
            _encode(result, -around)
        except _Refused as refused:
            raise ValueError(refused.reason) from None
    return result


canonical_json = compact.to_canonical


def is_unicode(text: str) -> bool:
    """Tell whether there is no lone surrogate in a text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
