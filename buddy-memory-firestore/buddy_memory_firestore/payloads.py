"""Payloads as Firestore's own maps, and what Firestore cannot hold as JSON text inside them.

Numbers, text, lists and objects are native values that queries and the console see. Firestore has
no lists in lists, no more than 20 levels, and field paths of at most 1,500 bytes; a value that
breaks one of these is stored as ``{"%json": text}``, and so is a payload with more parts than
the automatic indexes take. Keys are encoded as in ``names``; characters that are no Unicode text
as in ``buddy.memory.payload``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from google.cloud.firestore_v1 import types

from buddy.memory.payload import NEEDS_ESCAPE_OR_NUL, from_json, to_json, unescape
from buddy.memory.payload import escape as escape_text
from buddy_memory_firestore.names import decode_field_name, field_name

Value: Any = types.Value.pb()

MAX_LEVELS = 16
"""Levels stored natively: Firestore's 20, less the document's own and the one of ``%json``."""
MAX_PATH = 1400
"""Bytes of a native field path, a little under Firestore's 1,500."""

_JSON = "%json"


def fill(value: Any, item: Any, level: int = 1, path: int = 0) -> None:
    """Set a protobuf Value to an encoded payload, or to a part of one."""
    kind = type(item)
    if kind is str:
        value.string_value = _text(item)
    elif kind is bool:
        value.boolean_value = item
    elif kind is int:
        value.integer_value = item
    elif kind is float:
        value.double_value = item
    elif item is None:
        value.null_value = 0
    elif level > MAX_LEVELS or not _fill_native(value, item, level, path):
        fill_json(value, item)


def _fill_native(value: Any, item: Any, level: int, path: int) -> bool:
    """Fill in an object or a list; False when Firestore cannot hold this level of it."""
    if isinstance(item, list):
        value.array_value.SetInParent()
        for part in item:
            element = value.array_value.values.add()
            if type(part) is list:
                fill_json(element, part)
            else:
                fill(element, part, level + 1, path)
        return True
    names = [field_name(_text(key)) for key in item]
    longest = max((len(name.encode()) for name in names), default=0)
    # Quoting can double a name's length in a path.
    if path + 2 * longest > MAX_PATH:
        return False
    value.map_value.SetInParent()
    fields = value.map_value.fields
    for name, part in zip(names, item.values(), strict=True):
        fill(fields[name], part, level + 1, path + 2 * len(name.encode()) + 3)
    return True


def fill_json(value: Any, item: Any) -> None:
    """Set a protobuf Value to the JSON text of an encoded payload, or of a part of one."""
    value.Clear()
    value.map_value.fields[_JSON].string_value = to_json({"value": item})


def _text(text: str) -> str:
    escaped: str = escape_text(text, NEEDS_ESCAPE_OR_NUL)
    return escaped


def read(value: Any) -> Any:
    """Return the part of a payload that ``fill`` wrote. Raises ValueError for anything else."""
    kind = value.WhichOneof("value_type")
    if kind == "string_value":
        return unescape(value.string_value)
    if kind == "double_value" and not isfinite(value.double_value):
        raise ValueError(f"{value.double_value} is not JSON")
    if kind in ("boolean_value", "integer_value", "double_value"):
        return getattr(value, kind)
    if kind == "null_value":
        return None
    if kind == "array_value":
        return [read(item) for item in value.array_value.values]
    if kind == "map_value":
        return _read_map(value.map_value.fields)
    raise ValueError(f"a {kind} is no part of a JSON object")


def _read_map(fields: Mapping[str, Any]) -> Any:
    if _JSON in fields:
        return from_json(fields[_JSON].string_value)["value"]
    return {unescape(decode_field_name(name)): read(value) for name, value in fields.items()}


def read_payload(value: Any) -> dict[str, Any]:
    """Return a whole payload. Raises ValueError when it is none."""
    try:
        payload = read(value)
    except (KeyError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if type(payload) is not dict:
        raise ValueError(f"an object was expected, not {type(payload).__name__}")
    return payload
