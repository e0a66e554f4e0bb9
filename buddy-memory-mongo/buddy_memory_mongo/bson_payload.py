"""Payloads as native BSON: which keys and characters cannot stay as they are, and what they become.

Almost every payload is stored as it is. Where a key holds a ``.`` or U+0000 or begins with ``$``,
or a text holds a lone surrogate, the character becomes U+001B and its four hexadecimal digits
(``buddy.memory.payload.escape``).
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

import bson
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from buddy.memory import payload
from buddy.memory.errors import TooLargeError

MAX_BYTES = 16 * 1024 * 1024
"""The server's limit for a document."""

# A $ only where a key begins with it: such a field would be taken for an operator or a reference.
_KEY = re.compile("[\x1b\ud800-\udfff\x00.]|^\\$")


def dump(value: dict[str, Any], other_bytes: int) -> RawBSONDocument:
    """Return an encoded payload as BSON; ``other_bytes`` is what the rest of the document takes.

    Raises TooLargeError when the document would exceed MAX_BYTES.
    """
    # Encoded here and once: the driver copies the bytes, and their number is known before sending.
    raw = bson.encode(_escape(value))
    size = len(raw) + other_bytes
    if size > MAX_BYTES:
        raise TooLargeError(size, MAX_BYTES)
    return RawBSONDocument(raw)


def _escape(value: Any) -> Any:
    if type(value) is str:
        if not value.isascii() or "\x1b" in value:
            return payload.escape(value)
    elif type(value) is dict:
        return {
            payload.escape(key, _KEY) if _KEY.search(key) else key: _escape(item)
            for key, item in value.items()
        }
    elif type(value) is list:
        return [_escape(item) for item in value]
    return value


def load(value: Any) -> dict[str, Any]:
    """Return the payload that ``dump`` wrote. Raises TypeError for what is no JSON object."""
    if type(value) is not dict:
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    return _load_object(value)


def _load_object(value: dict[str, Any]) -> dict[str, Any]:
    return {
        payload.unescape(key) if "\x1b" in key else key: _load(item) for key, item in value.items()
    }


def _load(value: Any) -> Any:
    kind = type(value)
    if kind is str:
        return payload.unescape(value) if "\x1b" in value else value
    if kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return _load_object(value)
    if kind is list:
        return [_load(item) for item in value]
    if kind is Int64:
        return int(value)
    if kind is float and isfinite(value):
        return value
    raise TypeError(f"a {kind.__name__} is not JSON")
