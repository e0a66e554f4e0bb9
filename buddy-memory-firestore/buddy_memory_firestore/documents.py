"""Records as documents, and back.

A document holds ``id``, ``user_id``, the payload (``memory`` or ``summary``), ``created_at``,
``updated_at``, ``version``, ``order`` (microseconds; the place among all rows) and ``user_order``
(the place among those of the user; absent when there is none).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from google.cloud.firestore_v1 import types

from buddy.memory.errors import TooLargeError
from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy_memory_firestore import names
from buddy_memory_firestore.payloads import fill, fill_json, read_payload
from buddy_memory_firestore.sizes import MAX_DOCUMENT, weigh

Document: Any = types.Document.pb()

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LIGHT = 8 * 1024
"""Bytes on the wire up to which no limit can be reached, so that weighing is spared."""


class Position(NamedTuple):
    """A row's place: its order, and its document's id where two processes took the same one."""

    order: Any
    document_id: str


class Seen(NamedTuple):
    """A stored row, without its payload, as the server last showed it."""

    record: Record
    update_time: Any


def to_document(name: str, path: str, record: Record) -> Any:
    """Return the document of a record. Raises TooLargeError."""
    document = Document(name=name)
    fields = document.fields
    fields["id"].string_value = record.id
    fields["version"].integer_value = record.version
    order = record.position.order
    fields["order"].integer_value = order
    if record.user_id is None:
        fields["user_id"].null_value = 0
    else:
        fields["user_id"].string_value = record.user_id
        fields["user_order"].string_value = names.user_order(record.user_id, order)
    _fill_time(fields["created_at"], record.created_at)
    _fill_time(fields["updated_at"], record.updated_at)
    fill(fields[record.kind.value], record.payload)
    if document.ByteSize() > _LIGHT:
        _check_weight(path, document, record)
    return document


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


def _time(value: Any) -> datetime:
    if value.WhichOneof("value_type") != "timestamp_value":
        raise ValueError("a time is no timestamp")
    stamp = value.timestamp_value
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1000)


def to_record(kind: Kind, document: Any) -> Record | Corrupt:
    """Return the record of a document, or what is wrong with it."""
    fields = document.fields
    try:
        head = read_head(kind, document).record
        if kind.value not in fields:
            raise ValueError(f"there is no {kind.value}")
        return head._replace(payload=read_payload(fields[kind.value]))
    except (ValueError, TypeError, OverflowError) as error:
        return _corrupt(document, str(error))


def read_head(kind: Kind, document: Any) -> Seen:
    """Return everything of a document but its payload. Raises ValueError."""
    fields = document.fields
    for name in ("id", "user_id", "created_at", "updated_at", "version", "order"):
        if name not in fields:
            raise ValueError(f"there is no {name}")
    if fields["version"].WhichOneof("value_type") != "integer_value":
        raise ValueError("version is no integer")
    if fields["id"].WhichOneof("value_type") != "string_value":
        raise ValueError("id is no text")
    record = Record(
        kind,
        fields["id"].string_value,
        _user(fields["user_id"]),
        {},
        _time(fields["created_at"]),
        _time(fields["updated_at"]),
        fields["version"].integer_value,
        position_of(document),
    )
    return Seen(record, document.update_time)


def _user(value: Any) -> str | None:
    kind = value.WhichOneof("value_type")
    if kind not in ("string_value", "null_value"):
        raise ValueError("user_id is no text")
    return None if kind == "null_value" else str(value.string_value)


def id_of(document: Any) -> str:
    """Return the last part of a document's name."""
    name: str = document.name
    return name.rpartition("/")[2]


def position_of(document: Any) -> Position:
    """Return a document's place, also of one that cannot be read otherwise."""
    fields = document.fields
    if "order" in fields and fields["order"].WhichOneof("value_type") == "integer_value":
        return Position(fields["order"].integer_value, id_of(document))
    if "order" in fields and fields["order"].WhichOneof("value_type") == "double_value":
        return Position(fields["order"].double_value, id_of(document))
    if "user_order" in fields:
        return Position(names.order_of(fields["user_order"].string_value), id_of(document))
    raise ValueError("there is no order")


def _corrupt(document: Any, reason: str) -> Corrupt:
    try:
        position: Any = position_of(document)
    except ValueError:
        position = None  # Such a row is in no listing, so nothing pages by it.
    fields, id = document.fields, id_of(document)
    shown = fields["id"].string_value if "id" in fields else ""
    return Corrupt(shown or names.decode(id), owner_of(document), position, reason)


def owner_of(document: Any) -> str | None:
    """Return the owner of a document, also of one that cannot be read otherwise."""
    field = document.fields.get("user_id")
    if field is None or field.WhichOneof("value_type") != "string_value":
        return None
    return str(field.string_value)
