"""Updates: how a write becomes one command, and the record that it left."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.record import Key, Record, Write, new_stamp
from buddy_memory_mongo import bson_payload
from buddy_memory_mongo.encoding import PAYLOAD, Document, from_us, ours_by_key, to_us

STATE = {"_id": True, "created_us": True, "updated_us": True, "version": True}
"""The projection of what a write has to learn about the document that it left."""

_ONE = Int64(1)
_OTHER_FIELDS = 500
"""Bytes of a document besides its payload, vector, id and user: never more than these."""


class Prepared(NamedTuple):
    """A write with its payload in BSON, and the stamp that every attempt of it stores."""

    write: Write
    payload: RawBSONDocument
    stamp: Int64

    @property
    def key(self) -> Key:
        """What names the row."""
        return self.write.record.key

    @property
    def is_plain(self) -> bool:
        """Whether ``plain_update`` is enough: a new row has the time of the write, and version 1.

        It is not where times were given, and for rows from another store.
        """
        record, now, _ = self.write
        return record.updated_at == now and record.version == 1


def prepare(write: Write) -> Prepared:
    """Encode a write. Raises TooLargeError."""
    record = write.record
    payload = dump_payload(record.user_id, record.id, record.payload, record.vector)
    return Prepared(write, payload, Int64(new_stamp()))


def dump_payload(
    user_id: str | None, id: str, payload: dict[str, Any], vector: bytes | None
) -> RawBSONDocument:
    """Return a payload in BSON. Raises TooLargeError where its document would be too large."""
    # Four bytes for each character is the most that UTF-8 takes; counted only where it matters.
    longest = 4 * (len(id) + len(user_id or ""))
    others = longest if longest < 100_000 else len(f"{id}{user_id or ''}".encode())
    return bson_payload.dump(payload, others + len(vector or b"") + _OTHER_FIELDS)


def _target(write: Write) -> dict[str, Any]:
    """Return the filter for the document that a write may change; a new one takes its fields."""
    record = write.record
    found = ours_by_key(record.kind, record.user_id, record.id)
    if write.if_version is not None:
        found["version"] = Int64(write.if_version)
    return found


def plain_update(prepared: Prepared, position: ObjectId) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return filter and update for a new document, or one whose time is before that of the write:
    the operators that the server applies fastest."""
    write, payload, stamp = prepared
    record, now = write.record, to_us(write.now)
    expires_at, expires_us = _end(record.expires_at)
    update = {
        "$set": {
            PAYLOAD[record.kind]: payload,
            "vector": record.vector,
            "updated_at": write.now,
            "updated_us": now,
            "expires_at": expires_at,
            "expires_us": expires_us,
            "stamp": stamp,
        },
        "$inc": {"version": _ONE},
        "$setOnInsert": {
            "_id": position,
            "created_at": record.created_at,
            "created_us": now if record.created_at is write.now else to_us(record.created_at),
        },
    }
    return {**_target(write), "updated_us": {"$lt": now}}, update


def full_update(
    prepared: Prepared, position: ObjectId
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return filter and update that do all of ``merge``, whatever the clock does."""
    write, payload, stamp = prepared
    record = write.record
    expires_at, expires_us = _end(record.expires_at)
    later: dict[str, Any] = {"$max": [to_us(write.now), {"$add": ["$updated_us", _ONE]}]}
    rule = {
        "_id": {"$ifNull": ["$_id", position]},
        PAYLOAD[record.kind]: {"$literal": payload},
        "vector": {"$literal": record.vector},
        "created_at": {"$ifNull": ["$created_at", record.created_at]},
        "created_us": {"$ifNull": ["$created_us", to_us(record.created_at)]},
        "updated_us": {"$cond": [{"$gt": ["$version", 0]}, later, to_us(record.updated_at)]},
        "expires_at": {"$literal": expires_at},
        "expires_us": {"$literal": expires_us},
        "stamp": stamp,
        "version": {"$add": [{"$ifNull": ["$version", Int64(record.version - 1)]}, _ONE]},
    }
    ms = {"$toLong": {"$floor": {"$divide": ["$updated_us", 1000]}}}
    return _target(write), [{"$set": rule}, {"$set": {"updated_at": {"$toDate": ms}}}]


def _end(expires_at: datetime | None) -> tuple[DatetimeMS | None, Int64 | None]:
    """Return the end of a row as a date, rounded up so that no index acts early, and exactly."""
    if expires_at is None:
        return None, None
    us = to_us(expires_at)
    return DatetimeMS(-(-us // 1000)), us


def stored(prepared: Prepared, state: Document) -> Record:
    """Return a written record as it is stored, given its STATE.

    Raises CorruptMemoryError where the fields that a write keeps cannot be read.
    """
    record = prepared.write.record
    try:
        return _stored(prepared, state)
    except KeyError as error:
        raise CorruptMemoryError(record.id, f"the field {error} is missing") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise CorruptMemoryError(record.id, str(error)) from None


def _stored(prepared: Prepared, state: Document) -> Record:
    record, created_us, updated_us = prepared.write.record, state["created_us"], state["updated_us"]
    created = from_us(created_us)
    return Record(
        record.kind,
        record.user_id,
        record.id,
        record.payload,
        created,
        created if updated_us == created_us else from_us(updated_us),
        int(state["version"]),
        record.expires_at,
        record.vector,
        int(prepared.stamp),
        str(state["_id"]),
    )
