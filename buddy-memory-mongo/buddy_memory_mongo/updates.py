"""Updates: how a write becomes one command, and the record that it left."""

from __future__ import annotations

from typing import Any, NamedTuple

from bson import ObjectId
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.record import Key, Record, Write, new_stamp
from buddy_memory_mongo import bson_payload
from buddy_memory_mongo.encoding import PAYLOAD, Document, from_us, ours_by_key, to_us
from buddy_memory_mongo.ends import ALIVE, IS_ALIVE, end_at, end_from_now

STATE = {
    "_id": True,
    "created_us": True,
    "updated_us": True,
    "expires_us": True,
    "version": True,
}
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

        It is not where times or an end were given, and for rows from another store.
        """
        record, now = self.write.record, self.write.now
        return record.updated_at == now and record.version == 1 and not self.write.has_end


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
    """Return filter and update for a new document, or one without an end whose time is before that
    of the write: the operators that the server applies fastest."""
    write, payload, stamp = prepared
    record, now = write.record, to_us(write.now)
    update = {
        "$set": {
            PAYLOAD[record.kind]: payload,
            "vector": record.vector,
            "updated_at": write.now,
            "updated_us": now,
            "expires_us": None,
            "stamp": stamp,
        },
        "$inc": {"version": _ONE},
        "$setOnInsert": {
            "_id": position,
            "created_at": record.created_at,
            "created_us": now if record.created_at is write.now else to_us(record.created_at),
        },
    }
    return {**_target(write), "expires_at": None, "updated_us": {"$lt": now}}, update


def insertion(prepared: Prepared, position: ObjectId) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return filter and update that store a new document, and change none that is there."""
    write, payload, stamp = prepared
    record = write.record
    expires_at, expires_us = end_at(record.expires_at)
    new = {
        "_id": position,
        PAYLOAD[record.kind]: payload,
        "vector": record.vector,
        "created_at": record.created_at,
        "created_us": to_us(record.created_at),
        "updated_at": record.updated_at,
        "updated_us": to_us(record.updated_at),
        "expires_at": expires_at,
        "expires_us": expires_us,
        "stamp": stamp,
        "version": Int64(record.version),
    }
    return _target(write), {"$setOnInsert": new}


def full_update(
    prepared: Prepared, position: ObjectId
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return filter and update that do all of ``merge``, whatever the clock does. Only a document
    that has ended keeps its place: it is removed before, where it was seen."""
    write, payload, stamp = prepared
    record, target = write.record, _target(write)
    if write.if_version:
        target |= ALIVE
    later: dict[str, Any] = {"$max": [to_us(write.now), {"$add": ["$updated_us", _ONE]}]}
    is_old = {"$and": [{"$gt": ["$version", 0]}, IS_ALIVE]}

    def kept(field: str, otherwise: Any) -> dict[str, Any]:
        return {"$cond": [is_old, f"${field}", otherwise]}

    expires_at, expires_us = _end(write)
    rule = {
        "_id": {"$ifNull": ["$_id", position]},
        PAYLOAD[record.kind]: {"$literal": payload},
        "vector": {"$literal": record.vector},
        "created_at": kept("created_at", record.created_at),
        "created_us": kept("created_us", to_us(record.created_at)),
        "updated_us": {"$cond": [is_old, later, to_us(record.updated_at)]},
        "expires_at": kept("expires_at", expires_at) if write.keep else expires_at,
        "expires_us": kept("expires_us", expires_us) if write.keep else expires_us,
        "stamp": stamp,
        "version": {"$cond": [is_old, {"$add": ["$version", _ONE]}, Int64(record.version)]},
    }
    ms = {"$toLong": {"$floor": {"$divide": ["$updated_us", 1000]}}}
    return target, [{"$set": rule}, {"$set": {"updated_at": {"$toDate": ms}}}]


def _end(write: Write) -> tuple[Any, Any]:
    """Return the expressions of the end of a new row."""
    if write.ttl is not None:
        return end_from_now(write.ttl)
    date, us = end_at(write.record.expires_at)
    return {"$literal": date}, {"$literal": us}


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
        None if state["expires_us"] is None else from_us(state["expires_us"]),
        record.vector,
        int(prepared.stamp),
        str(state["_id"]),
    )
