"""Rows as older software left them: payloads and times in forms that are no longer written."""

from __future__ import annotations

import ast
from datetime import datetime, timezone
from typing import Any

from buddy.memory import payload
from buddy.memory.errors import InvalidMemoryError

MAX_LITERAL = 1_000_000
"""Characters of a Python literal that are parsed; the parser's memory grows with them."""


def read_payload(text: Any) -> dict[str, Any] | None:
    """Return the payload of an old row: JSON, or the repr of a dict. None when it is neither.

    The repr is parsed as a literal; nothing of it is ever executed.
    """
    if isinstance(text, dict):
        value: Any = text
    elif not isinstance(text, str):
        return None
    else:
        try:
            value = payload.from_json(text)
        except ValueError:
            value = _literal(text)
    try:
        return payload.encode(value)
    except InvalidMemoryError:
        return None


def _literal(text: str) -> Any:
    if len(text) > MAX_LITERAL:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def read_time(value: Any) -> datetime | None:
    """Return an old time in UTC: ISO text or a datetime (naive ones are UTC), or epoch seconds.

    None when it is missing or none of these.
    """
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        if not isinstance(value, datetime):
            return None
        if value.tzinfo is None:
            return value.replace(tzinfo=timezone.utc)
        return value.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
