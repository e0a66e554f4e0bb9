"""A row as text: what stands in Redis and what comes back from it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from buddy.memory import payload
from buddy.memory.errors import TooLargeError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write

MAX_BYTES = 512 * 1024 * 1024 - 1024
"""What a Redis string holds by default, less room for the head of the row."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def dump_time(time: datetime) -> str:
    """Return a UTC time as seconds since 1970 (rounded down) and six digits of microseconds."""
    since = time - _EPOCH
    return f"{since.days * 86400 + since.seconds}.{since.microseconds:06d}"


def load_time(text: bytes) -> datetime:
    """Undo ``dump_time``. Raises ValueError or OverflowError."""
    seconds, _, micros = text.partition(b".")
    return _EPOCH + timedelta(0, int(seconds), int(micros))


class Put(NamedTuple):
    """A write, with its payload as JSON."""

    write: Write
    text: bytes


def dump(write: Write) -> Put:
    """Return the write with its payload as JSON. Raises TooLargeError."""
    text = payload.to_json(write.record.payload).encode()
    if len(text) > MAX_BYTES:
        raise TooLargeError(len(text), MAX_BYTES)
    return Put(write, text)


def written(write: Write, head: bytes) -> Record:
    """Return the record that a write left, from the head that the script returned."""
    record = write.record
    if head.startswith(b"1 "):  # Inserted, with the times that it came with.
        return record._replace(version=1, position=int(head.split(b" ", 2)[1]))
    return Record(record.kind, record.id, record.user_id, record.payload, *_parse(head))


def load(kind: Kind, id: str, user_id: str | None, position: int, text: bytes) -> Record | Corrupt:
    """Return the record in a stored text, or Corrupt when it is none.

    ``position`` is that in the listing from which the row was read.
    """
    head, _, body = text.partition(b"\n")
    try:
        created, updated, version, _ = _parse(head)
        content = payload.from_json(body)
    except (ValueError, OverflowError) as error:
        return Corrupt(id, user_id, position, str(error))
    return Record(kind, id, user_id, content, created, updated, version, position)


def _parse(head: bytes) -> tuple[datetime, datetime, int, int]:
    version, position, created, updated = head.split(b" ")
    return load_time(created), load_time(updated), int(version), int(position)
