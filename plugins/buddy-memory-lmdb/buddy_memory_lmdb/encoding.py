"""A record in its stored form, and back: a line of JSON, and its payload as JSON."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any

from buddy.memory import payload
from buddy.memory.storage.record import Corrupt, Kind, Record, checked


def encode(record: Record) -> bytes:
    """Return a row as it is stored."""
    head = [
        record.user_id,
        record.id,
        record.created_at.isoformat(),
        record.updated_at.isoformat(),
        record.version,
        record.expires_at and record.expires_at.isoformat(),
        None if record.vector is None else b64encode(record.vector).decode(),
        record.stamp,
    ]
    return f"{json.dumps(head)}\n{payload.to_json(record.payload)}".encode()


def head(kind: Kind, position: int, value: bytes) -> Record:
    """Return a stored row without its payload. Raises ValueError when it is not one of ours."""
    try:
        row: Any = json.loads(value.partition(b"\n")[0])
    except RecursionError:
        raise ValueError("not a row of ours") from None
    if not isinstance(row, list) or len(row) != 8:
        raise ValueError("not a row of ours")
    user_id, id, created, updated, version, expires, vector, stamp = row
    record = Record(
        kind,
        user_id,
        id,
        {},
        datetime.fromisoformat(created),
        datetime.fromisoformat(updated),
        version,
        expires and datetime.fromisoformat(expires),
        None if vector is None else b64decode(vector),
        stamp,
        position,
    )
    return checked(record)


def decode(kind: Kind, position: int, value: bytes) -> Record | Corrupt:
    """Return a stored row, or Corrupt."""
    user_id, id = None, f"(at position {position})"
    try:
        record = head(kind, position, value)
        user_id, id = record.key
        return record._replace(payload=payload.from_json(value.partition(b"\n")[2]))
    except (TypeError, ValueError) as error:
        return Corrupt(user_id, id, position, f"{type(error).__name__}: {error}")
