"""Payloads as native BSON: which keys and characters cannot stay as they are, and what they become.

Almost every payload is stored as it is. Where a key holds a ``.`` or U+0000 or begins with ``$``,
or a text holds a lone surrogate, the character becomes U+001B and its four hexadecimal digits
(``buddy.memory.payload.escape``).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import Any

import bson
from bson.errors import InvalidDocument
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from buddy.memory import payload
from buddy.memory.errors import TooLargeError

MAX_BYTES = 16 * 1024 * 1024
"""The server's limit for a document."""

# A $ only where a key begins with it: such a field would be taken for an operator or a reference.
_KEY = "[\x1b\ud800-\udfff\x00.]|^\\$"


def dump(value: dict[str, Any], other_bytes: int) -> RawBSONDocument:
    """Return an encoded payload as BSON; ``other_bytes`` is what the rest of the document takes.

    Raises TooLargeError when the document would exceed MAX_BYTES.
    """
    # Encoded here and once: the driver copies the bytes, and their number is known before sending.
    raw = _encode(value)
    size = len(raw) + other_bytes
    if size > MAX_BYTES:
        raise TooLargeError(size, MAX_BYTES)
    return RawBSONDocument(raw)


def _encode(value: dict[str, Any]) -> bytes:
    try:
        raw = bson.encode(value, check_keys=True)
    except (InvalidDocument, UnicodeEncodeError):
        return bson.encode(_escape(value))
    # A length or a number may have this byte too: it costs an encoding more, and changes nothing.
    return bson.encode(_escape(value)) if b"\x1b" in raw else raw


def _escape(value: Any) -> Any:
    if type(value) is dict:
        return {payload.escape(key, _KEY): _escape(item) for key, item in value.items()}
    if type(value) is list:
        return [_escape(item) for item in value]
    return payload.escape(value)


def load(value: Any) -> dict[str, Any]:
    """Return the payload that ``dump`` wrote: ``value`` itself, as the driver decoded it, changed
    where it has to be. Raises TypeError for what is no JSON object."""
    if type(value) is not dict:
        raise TypeError(f"an object was expected, not {type(value).__name__}")
    if "\x1b" in "".join(value):
        items = {payload.unescape(key): item for key, item in value.items()}
        value.clear()
        value.update(items)
    _load_items(value, value.items())
    return value


def _load_items(holder: Any, items: Iterable[tuple[Any, Any]]) -> None:
    """Replace in a dict or a list what is not as it was written: most often nothing."""
    for place, item in items:
        kind = type(item)
        if kind is str:
            if "\x1b" in item:
                holder[place] = payload.unescape(item)
        elif kind is dict:
            load(item)
        elif kind is list:
            _load_items(item, enumerate(item))
        elif kind is Int64:
            holder[place] = int(item)
        elif not (
            kind is int or kind is bool or item is None or (kind is float and isfinite(item))
        ):
            raise TypeError(f"a {kind.__name__} is not JSON")
