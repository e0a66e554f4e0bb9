"""A row as text: what stands in Redis and what comes back from it.

The text is a line, the head, then the vector if there is one, and the payload as JSON. The head is
``version position created updated stamp expires vector``: times are seconds since 1970, ``expires``
and ``vector`` (its size in bytes) are ``-`` where there is none.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from buddy.memory import payload
from buddy.memory.errors import CorruptMemoryError, TooLargeError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write, check_stored, new_stamp
from buddy.memory.storage.users import decode_user, encode_user

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


# --- names -----------------------------------------------------------------------------------


def dump_user(user_id: str | None) -> bytes:
    """Return a user as it stands in keys, fields and members."""
    return encode_user(user_id).encode()


def field(user_id: str | None, id: str) -> bytes:
    """Return the field of a row: user, U+0000, id. Neither of them holds U+0000."""
    return f"{encode_user(user_id)}\0{id}".encode()


def load_field(text: bytes) -> tuple[str | None, str]:
    """Undo ``field``."""
    user, _, id = text.decode(errors="backslashreplace").partition("\0")
    return decode_user(user), id


# --- rows ------------------------------------------------------------------------------------


class Put(NamedTuple):
    """A write as the script takes it; without a ``place`` the script draws one."""

    write: Write
    body: bytes
    stamp: int
    place: int | None = None

    def arguments(self) -> tuple[Any, ...]:
        """Return what put.lua takes for each row."""
        record = self.write.record
        made, now = b"", self.write.now
        if record.version != 1 or record.created_at != now or record.updated_at != now:
            times = f"{dump_time(record.created_at)} {dump_time(record.updated_at)}"
            made = f"{record.version} {times}".encode()
        expires = "-" if record.expires_at is None else dump_time(record.expires_at)
        size = _size_of(record.vector)
        place = b"" if self.place is None else self.place
        user, id = dump_user(record.user_id), record.id.encode()
        return user, id, self.stamp, place, made, f"{expires} {size}", self.body


def put_options(write: Write, *, new_only: bool = False) -> tuple[Any, ...]:
    """Return what put.lua takes first: time, expected version, ttl, and what becomes of a row that
    is there: it keeps its end, or is left alone."""
    expected = "" if write.if_version is None else write.if_version
    how = "new" if new_only else "keep" if write.keep else ""
    return dump_time(write.now), expected, dump_ttl(write.ttl), how


def dump_ttl(ttl: timedelta | None) -> int:
    """Return a duration in ms, at least one; 0 for None."""
    return 0 if ttl is None else max(1, round(ttl / timedelta(milliseconds=1)))


def _size_of(vector: bytes | None) -> str:
    return "-" if vector is None else str(len(vector))


def dump_body(content: dict[str, Any], vector: bytes | None) -> bytes:
    """Return the part of a text behind its head. Raises TooLargeError."""
    body = (vector or b"") + payload.to_json(content).encode()
    if len(body) > MAX_BYTES:
        raise TooLargeError(len(body), MAX_BYTES)
    return body


def dump(write: Write) -> Put:
    """Return a write with its row as text. Raises TooLargeError."""
    return Put(write, dump_body(write.record.payload, write.record.vector), new_stamp())


def expires(text: bytes) -> bool:
    """Tell whether a stored text has an end: only the server knows whether that has come."""
    return text.split(b" ", 6)[5:6] != [b"-"]


def inserted(put: Put, position: int, expires_at: datetime | None) -> Record:
    """Return the record of a new row."""
    record = put.write.record
    # Three times as fast as _replace, for each row of a bulk write.
    return Record(*record[:7], expires_at or record.expires_at, record.vector, put.stamp, position)


def written(put: Put, head: bytes) -> Record:
    """Return the record that a write left, from the head that the script returned.

    Raises CorruptMemoryError where it keeps a time that the row had and that is none.
    """
    kind, user_id, id, content = put.write.record[:4]
    try:
        return _record(kind, user_id, id, content, put.write.record.vector, head)
    except (ValueError, OverflowError) as error:
        raise CorruptMemoryError(id, f"its times: {error}") from None


def load(
    kind: Kind, user_id: str | None, id: str, text: bytes, position: Any = None
) -> Record | Corrupt:
    """Return the record in a stored text, or Corrupt when it is none.

    ``position`` is that in the listing from which the row was read.
    """
    head, _, body = text.partition(b"\n")
    vector = None
    try:
        if not head.endswith(b" -"):
            size = int(head.rpartition(b" ")[2])
            vector, body = body[:size], body[size:]
        return _record(kind, user_id, id, payload.from_json(body), vector, head)
    except (ValueError, OverflowError) as error:
        return Corrupt(user_id, id, position, str(error))


def _record(
    kind: Kind,
    user_id: str | None,
    id: str,
    content: dict[str, Any],
    vector: bytes | None,
    head: bytes,
) -> Record:
    """Return a record with what its head says. Raises ValueError or OverflowError."""
    version, position, created, updated, stamp, ends, _ = head.split(b" ")
    check_stored(id, int(version))
    created_at = load_time(created)
    return Record(
        kind,
        user_id,
        id,
        content,
        created_at,
        created_at if updated == created else load_time(updated),
        int(version),
        None if ends == b"-" else load_time(ends),
        vector,
        int(stamp),
        int(position),
    )
