"""Records as documents, and back.

A document holds ``id``, ``user_id``, the payload (``memory`` or ``summary``), ``created_at``,
``updated_at``, ``version``, ``vector``, ``expires_at`` and ``end_order`` (the end among the user's
rows) where there are any, ``stamps`` (one
field, named after the user, so that an automatic index sums up the stamps of a user), ``order``
and ``user_order`` (the place among all rows and among those of the user), and ``long_id`` where the
id is too long for an index.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from google.cloud.firestore_v1 import types

from buddy.memory.errors import TooLargeError
from buddy.memory.storage.record import TICK, Corrupt, Key, Kind, Record, check_stored
from buddy_memory_firestore import names
from buddy_memory_firestore.payloads import fill, fill_json, read_payload
from buddy_memory_firestore.sizes import MAX_DOCUMENT, weigh

Document: Any = types.Document.pb()

HEAD = [
    "id",
    "user_id",
    "created_at",
    "updated_at",
    "version",
    "expires_at",
    "end_order",
    "stamps",
    "order",
    "user_order",
]
"""The fields that an update needs to know: all but what it replaces."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAX_INTEGER = 2**63 - 1
_LIGHT = 8 * 1024
"""Bytes on the wire up to which no limit can be reached, so that weighing is spared."""


class Seen(NamedTuple):
    """A stored row, without payload and vector, as the server last showed it."""

    record: Record
    update_time: Any


# --- writing


def to_document(name: str, path: str, record: Record) -> Any:
    """Return the document of a record. Raises TooLargeError."""
    document = Document(name=name)
    fields = document.fields
    fields["id"].string_value = record.id
    fields["version"].integer_value = record.version
    if record.user_id is None:
        fields["user_id"].null_value = 0
    else:
        fields["user_id"].string_value = record.user_id
    _fill_order(fields, path.rpartition("/")[2], record)
    stamp = names.stamp_field(record.user_id)
    fields["stamps"].map_value.fields[stamp].integer_value = record.stamp or 0
    _fill_time(fields["created_at"], record.created_at)
    _fill_time(fields["updated_at"], record.updated_at)
    fill_end(fields, record.user_id, record.expires_at)
    if record.vector is not None:
        fields["vector"].bytes_value = record.vector
    fill(fields[record.kind.value], record.payload)
    if document.ByteSize() > _LIGHT:
        _check_weight(path, document, record)
    return document


def fill_end(fields: Any, user_id: str | None, expires_at: datetime | None) -> None:
    """Set the fields of a row's end; none without one."""
    if expires_at is not None:
        _fill_time(fields["expires_at"], expires_at)
        fields["end_order"].string_value = end_order(user_id, expires_at)


def end_order(user_id: str | None, expires_at: datetime) -> str:
    """Return what sorts the rows of a user that have an end by it."""
    return f"{names.user_lead(user_id)}{max(0, (expires_at - _EPOCH) // TICK):020d}"


def end_of(document: Any) -> datetime | None:
    """Return the end of a document; None where it has none, or none that can be read."""
    try:
        return _time(document.fields, "expires_at")
    except (ValueError, OverflowError):
        return None


def has_ended(document: Any, now: datetime) -> bool:
    """Tell whether the row of a document is not there any more."""
    end = end_of(document)
    return end is not None and end <= now


def _fill_order(fields: Any, document_id: str, record: Record) -> None:
    fields["order"].string_value = names.bucket(document_id) + record.position
    fields["user_order"].string_value = names.user_lead(record.user_id) + record.position
    if (long := names.long_id(record.id)) is not None:
        fields["long_id"].string_value = long


def _check_weight(path: str, document: Any, record: Record) -> None:
    weight = weigh(path, document.fields)
    if not weight.fits_indexes:
        fill_json(document.fields[record.kind.value], record.payload)
        weight = weigh(path, document.fields)
    if weight.size > MAX_DOCUMENT:
        raise TooLargeError(weight.size, MAX_DOCUMENT)


def _fill_time(value: Any, time: datetime) -> None:
    # Whole numbers: a float of seconds does not hold the microseconds of every year.
    since = time - _EPOCH
    stamp = value.timestamp_value
    stamp.seconds = since.days * 86400 + since.seconds
    stamp.nanos = since.microseconds * 1000
    stamp.SetInParent()


# --- reading


def to_record(kind: Kind, document: Any, position: str) -> Record | Corrupt:
    """Return the record of a document, or what is wrong with it.

    ``position`` is where a listing found it: an unreadable one has it, so that paging goes on.
    """
    fields = document.fields
    try:
        head = read_head(kind, document).record
        if kind.value not in fields:
            raise ValueError(f"there is no {kind.value}")
        return head._replace(payload=read_payload(fields[kind.value]), vector=_vector(fields))
    except (ValueError, TypeError, OverflowError) as error:
        key = key_of(document)
        return Corrupt(*key, position, str(error))


def read_head(kind: Kind, document: Any) -> Seen:
    """Return everything of a document but payload and vector. Raises ValueError."""
    fields = document.fields
    id, user_id = _field(fields, "id", "string_value"), _user(fields)
    name = id_of(document)
    if names.document_id(user_id, id) != name:
        raise ValueError("the document does not have the name of its user and id")
    order = _field(fields, "order", "string_value")
    lead, zero, position = _field(fields, "user_order", "string_value").rpartition("\0")
    if order != names.bucket(name) + position or lead + zero != names.user_lead(user_id):
        raise ValueError("order and user_order are not those of this row")
    version = _version(fields)
    check_stored(id, version)
    record = Record(
        kind,
        user_id,
        id,
        {},
        _time(fields, "created_at"),
        _time(fields, "updated_at"),
        version,
        _time(fields, "expires_at") if "expires_at" in fields else None,
        None,
        _stamp(fields, user_id),
        position,
    )
    return Seen(record, document.update_time)


def _field(fields: Any, name: str, wanted: str) -> Any:
    if name not in fields:
        raise ValueError(f"there is no {name}")
    if fields[name].WhichOneof("value_type") != wanted:
        raise ValueError(f"{name} is no {wanted.partition('_')[0]}")
    return getattr(fields[name], wanted)


def _version(fields: Any) -> int:
    version = int(_field(fields, "version", "integer_value"))
    if version >= _MAX_INTEGER:  # The next one has to be one, too.
        raise ValueError(f"the version {version} is none")
    return version


def _time(fields: Any, name: str) -> datetime:
    stamp = _field(fields, name, "timestamp_value")
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def _user(fields: Any) -> str | None:
    if "user_id" in fields and fields["user_id"].WhichOneof("value_type") == "null_value":
        return None
    return str(_field(fields, "user_id", "string_value"))


def _vector(fields: Any) -> bytes | None:
    return bytes(_field(fields, "vector", "bytes_value")) if "vector" in fields else None


def _stamp(fields: Any, user_id: str | None) -> int:
    stamps = _field(fields, "stamps", "map_value").fields
    return int(_field(stamps, names.stamp_field(user_id), "integer_value"))


def id_of(document: Any) -> str:
    """Return the last part of a document's name."""
    name: str = document.name
    return name.rpartition("/")[2]


def key_of(document: Any) -> Key:
    """Return user and id of a document, also of one that cannot be read otherwise."""
    name = id_of(document)
    if (key := names.decode_document_id(name)) is not None:
        return key
    fields = document.fields  # The name is a hash.
    id = fields["id"].string_value if "id" in fields else ""
    is_named = "user_id" in fields and fields["user_id"].WhichOneof("value_type") == "string_value"
    return Key(fields["user_id"].string_value if is_named else None, id or name)
