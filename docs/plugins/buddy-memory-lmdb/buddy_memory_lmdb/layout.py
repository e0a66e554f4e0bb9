r"""What is stored under which key.

========================================  =====================================================
key (each begins with the store's own)    value
========================================  =====================================================
``m``                                     the last position given; there when the store was made
kind ``r`` position                       the row: a line of JSON, and its payload as JSON
kind ``i`` digest of the id               its position
kind ``u`` digest of the user, position   nothing; rows of nobody have none
========================================  =====================================================

Keys of LMDB are ordered bytes of at most 511; ids are strings of any length, so that their digests
are the keys. A position is eight bytes, big-endian: rows and users are in the order of writing.
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import blake2b
from typing import Any

from buddy.memory import payload
from buddy.memory.storage.record import Corrupt, Kind, Record


class Keys:
    """The keys of one store."""

    def __init__(self, table_name: str) -> None:
        self.store = b"buddy-memory:" + _digest(table_name)
        self.made = self.store + b"m"

    def rows(self, kind: Kind) -> bytes:
        """What the keys of rows begin with."""
        return self.store + kind.value[:1].encode() + b"r"

    def id(self, kind: Kind, id: str) -> bytes:
        """The key of an id."""
        return self.store + kind.value[:1].encode() + b"i" + _digest(id)

    def user(self, kind: Kind, user_id: str) -> bytes:
        """What the keys of a user's rows begin with."""
        return self.store + kind.value[:1].encode() + b"u" + _digest(user_id)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=20).digest()


def pack(position: int) -> bytes:
    """Return a position as eight bytes that sort as it does."""
    return position.to_bytes(8, "big")


def unpack(key: bytes) -> int:
    """Return the position at the end of a key or value."""
    return int.from_bytes(key[-8:], "big")


def encode(record: Record) -> bytes:
    """Return a row as it is stored."""
    head = [
        record.id,
        record.user_id,
        record.created_at.isoformat(),
        record.updated_at.isoformat(),
        record.version,
    ]
    return f"{json.dumps(head)}\n{payload.to_json(record.payload)}".encode()


def head(kind: Kind, position: int, value: bytes) -> Record:
    """Return a stored row without its payload. Raises ValueError when it is not one of ours."""
    row: Any = json.loads(value.partition(b"\n")[0])
    if not isinstance(row, list) or len(row) != 5:
        raise ValueError("not a row of ours")
    id, user_id, created, updated, version = row
    created, updated = datetime.fromisoformat(created), datetime.fromisoformat(updated)
    return Record(kind, id, user_id, {}, created, updated, version, position)


def decode(kind: Kind, position: int, value: bytes) -> Record | Corrupt:
    """Return a stored row, or Corrupt."""
    id, user_id = f"(at position {position})", None
    try:
        record = head(kind, position, value)
        id, user_id = record.id, record.user_id
        return record._replace(payload=payload.from_json(value.partition(b"\n")[2]))
    except (TypeError, ValueError) as error:
        return Corrupt(id, user_id, position, f"{type(error).__name__}: {error}")
