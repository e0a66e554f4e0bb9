"""The documents: their fields, how a write becomes an update, and how they become records.

    {
      _id: ObjectId("…"),             the position: grows in the order of first writing
      buddy_memory: 1,                marks our documents, and tells their layout
      id: "…", user_id: "ann",        user_id is null for a row without an owner
      memory: {…},                    the payload
      created_at: ISODate("…"), updated_at: ISODate("…"),      for people and TTL indexes
      created_us: 1795378944000001, updated_us: …,             the same in microseconds since 1970
      version: 3
    }

A summary has ``buddy_summary``, ``session_id`` and ``summary`` instead of ``buddy_memory``, ``id``
and ``memory``, so that neither passes for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from bson import ObjectId
from bson.int64 import Int64

from buddy.memory.storage.record import TICK, Corrupt, Kind, Record, Write
from buddy_memory_mongo.bson_payload import dump, load

LAYOUT = 1
"""The value of the mark: the layout of the document."""

SUFFIX = {Kind.MEMORY: "", Kind.SUMMARY: "_summaries"}
"""What the name of each kind's collection adds to the store's collection name."""

MARK = {Kind.MEMORY: "buddy_memory", Kind.SUMMARY: "buddy_summary"}
"""The field that only documents of that kind have."""

ID = {Kind.MEMORY: "id", Kind.SUMMARY: "session_id"}
"""The field that holds the id."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OTHER_FIELDS = 400
"""Bytes of a document besides its payload, id and user id: never more than these."""

Document = Mapping[str, Any]


def to_us(time: datetime) -> Int64:
    """Return an aware time in microseconds since 1970."""
    return Int64((time - _EPOCH) // TICK)


def from_us(us: int) -> datetime:
    """Undo ``to_us``. Raises OverflowError beyond the year 9999, TypeError for no number."""
    return _EPOCH + timedelta(microseconds=us)


def of_user(kind: Kind, user_id: str | None) -> dict[str, Any]:
    """Return the filter for our documents (of that user; None: of all)."""
    owner = {} if user_id is None else {"user_id": user_id}
    return {**owner, MARK[kind]: LAYOUT}


def by_id(kind: Kind, id: str, user_id: str | None) -> dict[str, Any]:
    """Return the filter for one of our documents (of that user)."""
    return {ID[kind]: id, **of_user(kind, user_id)}


# --- writing


def target(write: Write) -> dict[str, Any]:
    """Return the filter for the document that a write may change; a new one takes its fields."""
    record = write.record
    found = {ID[record.kind]: record.id, "user_id": record.user_id, MARK[record.kind]: LAYOUT}
    if write.if_version is not None:
        found["version"] = Int64(write.if_version)
    return found


def dump_payload(record: Record) -> Any:
    """Return the payload as BSON. Raises TooLargeError."""
    # Four bytes for each character is the most that UTF-8 takes; counted only where it matters.
    longest = 4 * (len(record.id) + len(record.user_id or ""))
    others = longest if longest < 100_000 else len(f"{record.id}{record.user_id or ''}".encode())
    return dump(record.payload, others + _OTHER_FIELDS)


def is_plain(write: Write) -> bool:
    """Tell whether the row's time is the time of the write, so that ``plain_update`` will do."""
    return write.record.updated_at == write.now


def plain_filter(write: Write) -> dict[str, Any]:
    """Return ``target`` where, besides, the stored time is behind the time of the write."""
    return {**target(write), "updated_us": {"$lt": to_us(write.now)}}


def plain_update(write: Write, payload: Any, position: ObjectId) -> dict[str, Any]:
    """Return the update for ``plain_filter``: the operators that the server applies fastest."""
    record = write.record
    return {
        "$set": {
            record.kind.value: payload,
            "updated_at": write.now,
            "updated_us": to_us(write.now),
        },
        "$inc": {"version": Int64(1)},
        "$setOnInsert": {
            "_id": position,
            "created_at": record.created_at,
            "created_us": to_us(record.created_at),
        },
    }


def full_update(write: Write, payload: Any, position: ObjectId) -> list[dict[str, Any]]:
    """Return the update for ``target`` that does all of ``merge``, whatever the clock does."""
    record = write.record
    later: dict[str, Any] = {"$max": [to_us(write.now), {"$add": ["$updated_us", Int64(1)]}]}
    rule = {
        "_id": {"$ifNull": ["$_id", position]},
        record.kind.value: {"$literal": payload},
        "created_at": {"$ifNull": ["$created_at", record.created_at]},
        "created_us": {"$ifNull": ["$created_us", to_us(record.created_at)]},
        "updated_us": {"$cond": [{"$gt": ["$version", 0]}, later, to_us(record.updated_at)]},
        "version": {"$add": [{"$ifNull": ["$version", Int64(0)]}, Int64(1)]},
    }
    ms = {"$toLong": {"$floor": {"$divide": ["$updated_us", 1000]}}}
    return [{"$set": rule}, {"$set": {"updated_at": {"$toDate": ms}}}]


def new_document(write: Write, payload: Any, position: ObjectId) -> dict[str, Any]:
    """Return the document of a first write."""
    record = write.record
    return {
        "_id": position,
        ID[record.kind]: record.id,
        "user_id": record.user_id,
        MARK[record.kind]: LAYOUT,
        record.kind.value: payload,
        "created_at": record.created_at,
        "created_us": to_us(record.created_at),
        "updated_at": record.updated_at,
        "updated_us": to_us(record.updated_at),
        "version": Int64(1),
    }


# --- reading

STATE = {"_id": True, "created_us": True, "updated_us": True, "version": True}
"""What a write needs to know of the document that it left."""


def stored(record: Record, state: Document) -> Record:
    """Return a written record as it is stored."""
    return record._replace(
        created_at=from_us(state["created_us"]),
        updated_at=from_us(state["updated_us"]),
        version=int(state["version"]),
        position=state["_id"],
    )


def decode(kind: Kind, document: Document) -> Record | Corrupt:
    """Return the record of a document, or Corrupt when it holds none."""
    id, user_id, position = document.get(ID[kind]), document.get("user_id"), document["_id"]
    try:
        if type(id) is not str or not isinstance(user_id, (str, type(None))):
            raise TypeError("the id or the user id is not text")
        record = Record(kind, id, user_id, load(document[kind.value]), _EPOCH, _EPOCH)
        return stored(record, document)
    except KeyError as error:
        return Corrupt(str(id), user_id, position, f"the field {error} is missing")
    except (TypeError, ValueError, OverflowError) as error:
        return Corrupt(str(id), user_id, position, str(error))
