"""A record in its stored form, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import datetime
from typing import Any

from buddy.memory import payload
from buddy.memory.storage.record import Corrupt, Key, Kind, Record, checked
from buddy.memory.storage.users import decode_user, encode_user

Row = dict[str, Any]


def to_key(user_id: str | None, id: str) -> str:
    """Return what a row is stored under. U+0000 is in no user and in no id."""
    return f"{encode_user(user_id)}\0{id}"


def from_key(key: str) -> Key:
    """Return the user and the id of ``to_key``."""
    user, _, id = key.partition("\0")
    return Key(decode_user(user), id)


def dump_end(time: datetime | None) -> str | None:
    """Return the end of a row as text that sorts by time."""
    return None if time is None else time.isoformat(timespec="microseconds")


def encode(record: Record) -> Row:
    """Return what is stored of a record, besides its key."""
    return {
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
        "version": record.version,
        "expires_at": dump_end(record.expires_at),
        "vector": None if record.vector is None else b64encode(record.vector).decode(),
        "stamp": record.stamp,
        "position": record.position,
        "payload": payload.to_json(record.payload),
    }


def head(kind: Kind, key: str, row: Row) -> Record:
    """Return a record without its payload, which may be damaged."""
    expires_at, vector = row["expires_at"], row["vector"]
    record = Record(
        kind,
        *from_key(key),
        {},
        datetime.fromisoformat(row["created_at"]),
        datetime.fromisoformat(row["updated_at"]),
        row["version"],
        None if expires_at is None else datetime.fromisoformat(expires_at),
        None if vector is None else b64decode(vector),
        row["stamp"],
        row["position"],
    )
    return checked(record)


def decode(kind: Kind, key: str, row: Row) -> Record | Corrupt:
    """Return a record; Corrupt when it cannot be decoded."""
    try:
        return head(kind, key, row)._replace(payload=payload.from_json(row["payload"]))
    except (KeyError, TypeError, ValueError) as error:
        return Corrupt(*from_key(key), row.get("position"), repr(error))
