"""Rows as older software left them: payloads and times in forms that are no longer written."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from buddy.memory import payload
from buddy.memory.storage import clock
from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy.memory.storage.validation import check_id, check_user

MAX_LITERAL = 1_000_000
"""Characters of a Python literal that are parsed; the parser's memory grows with them."""


FIELDS = ("id", "user_id", "memory", "created_at", "updated_at")
"""What a row had before versions and positions, in every store."""


def read_row(values: Iterable[Any], position: Any = None) -> Record | Corrupt:
    """Return an old memory from the values of FIELDS, whatever forms they have; Corrupt when it is
    none.

    Where one of the times is missing, the other one stands for it; where both are, now.
    """
    id, user_id, memory, created_at, updated_at = values
    try:
        id, user_id = check_id(_text(id)), check_user(_text(user_id))
        created, updated = read_time(_text(created_at)), read_time(_text(updated_at))
        content = read_payload(_text(memory))
    except ValueError as error:
        shown = id if isinstance(id, str) else repr(id)
        return Corrupt(user_id if isinstance(user_id, str) else None, shown, position, str(error))
    first = created or updated or clock.utc_now()
    return Record(
        Kind.MEMORY, user_id, id, content, first, updated or first, version=1, position=position
    )


def _text(value: Any) -> Any:
    """Return bytes as the text that they are; anything else as it is. Raises ValueError."""
    return value.decode() if isinstance(value, bytes) else value


def read_payload(value: Any) -> dict[str, Any]:
    """Return the payload of an old row: an object, as JSON, or as the repr of a dict.

    The repr is parsed as a literal; nothing of it is ever executed. Raises ValueError.
    """
    if isinstance(value, str):
        value = _parse(value)
    if not isinstance(value, dict):
        raise ValueError("the payload is no object, neither in JSON nor as a Python literal")
    return payload.encode(value)


def _parse(text: str) -> Any:
    # Plain JSON: what is an escape in texts of ours is text in theirs.
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _literal(text)


def _literal(text: str) -> Any:
    if len(text) > MAX_LITERAL:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def read_time(value: Any) -> datetime | None:
    """Return an old time in UTC: ISO text or a datetime (naive ones are UTC), or epoch seconds.

    None when it is missing. Raises ValueError for anything else.
    """
    try:
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, timezone.utc)
        if isinstance(value, str):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if not isinstance(value, datetime):
            raise TypeError
        if value.tzinfo is None:
            return value.replace(tzinfo=timezone.utc)
        return value.astimezone(timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError(f"{value!r:.40} is no time") from None
