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
from datetime import datetime, timezone
from functools import lru_cache
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

PAYLOAD = {Kind.MEMORY: "memory", Kind.SUMMARY: "summary"}
"""The field that holds the payload."""

_ONE = Int64(1)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OTHER_FIELDS = 400
"""Bytes of a document besides its payload, id and user id: never more than these."""

Document = Mapping[str, Any]


@lru_cache(16)  # The moment of a write is asked for more than once, and by each row of a bulk.
def to_us(time: datetime) -> Int64:
    """Return an aware time in microseconds since 1970."""
    return Int64((time - _EPOCH) // TICK)


def from_us(us: int) -> datetime:
    """Undo ``to_us``. Raises OverflowError beyond the year 9999, TypeError for no number."""
    return _EPOCH + us * TICK


def mark(kind: Kind) -> dict[str, Any]:
    """Return the filter for our documents."""
    return {MARK[kind]: LAYOUT}


def is_ours(kind: Kind, document: Document) -> bool:
    """Tell whether a document bears the mark, as ``mark`` does."""
    found = document.get(MARK[kind])
    return bool(found == LAYOUT) and found is not True


def of_user(kind: Kind, user_id: str | None) -> dict[str, Any]:
    """Return the filter for our documents (of that user; None: of all)."""
    return mark(kind) if user_id is None else {"user_id": user_id, **mark(kind)}


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
    """Tell whether ``plain_update`` will do: a new row's time is that of the write, its version 1.

    It is otherwise where times were given, and where rows come from another store.
    """
    return write.record.updated_at == write.now and write.record.version == 1


def plain_update(
    write: Write, payload: Any, position: ObjectId
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return filter and update for a document whose time is behind that of the write, or a new one:
    the operators that the server applies fastest."""
    record, now = write.record, to_us(write.now)
    created = now if record.created_at is write.now else to_us(record.created_at)
    update = {
        "$set": {PAYLOAD[record.kind]: payload, "updated_at": write.now, "updated_us": now},
        "$inc": {"version": _ONE},
        "$setOnInsert": {
            "_id": position,
            "created_at": record.created_at,
            "created_us": created,
        },
    }
    return {**target(write), "updated_us": {"$lt": now}}, update


def full_update(
    write: Write, payload: Any, position: ObjectId
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return filter and update that do all of ``merge``, whatever the clock does."""
    record = write.record
    later: dict[str, Any] = {"$max": [to_us(write.now), {"$add": ["$updated_us", _ONE]}]}
    rule = {
        "_id": {"$ifNull": ["$_id", position]},
        PAYLOAD[record.kind]: {"$literal": payload},
        "created_at": {"$ifNull": ["$created_at", record.created_at]},
        "created_us": {"$ifNull": ["$created_us", to_us(record.created_at)]},
        "updated_us": {"$cond": [{"$gt": ["$version", 0]}, later, to_us(record.updated_at)]},
        "version": {"$add": [{"$ifNull": ["$version", Int64(record.version - 1)]}, _ONE]},
    }
    ms = {"$toLong": {"$floor": {"$divide": ["$updated_us", 1000]}}}
    return target(write), [{"$set": rule}, {"$set": {"updated_at": {"$toDate": ms}}}]


def new_document(write: Write, payload: Any, position: ObjectId) -> dict[str, Any]:
    """Return the document of a first write."""
    record = write.record
    return {
        "_id": position,
        ID[record.kind]: record.id,
        "user_id": record.user_id,
        MARK[record.kind]: LAYOUT,
        PAYLOAD[record.kind]: payload,
        "created_at": record.created_at,
        "created_us": to_us(record.created_at),
        "updated_at": record.updated_at,
        "updated_us": to_us(record.updated_at),
        "version": Int64(record.version),
    }


# --- reading

STATE = {"_id": True, "created_us": True, "updated_us": True, "version": True}
"""What a write needs to know of the document that it left."""

OWNER = {kind: {"_id": False, "user_id": True, MARK[kind]: True} for kind in Kind}
"""What tells whose a document is."""


def stored(record: Record, state: Document) -> Record:
    """Return a written record as it is stored."""
    kind, id, user_id, payload, *_ = record
    return Record(kind, id, user_id, payload, *_state(state))


def decode(kind: Kind, document: Document) -> Record | Corrupt:
    """Return the record of a document, or Corrupt when it holds none."""
    id, user_id, position = document.get(ID[kind]), document.get("user_id"), document["_id"]
    try:
        if type(id) is not str or (user_id is not None and type(user_id) is not str):
            raise TypeError("the id or the user id is not text")
        return Record(kind, id, user_id, load(document[PAYLOAD[kind]]), *_state(document))
    except KeyError as error:
        return Corrupt(str(id), user_id, position, f"the field {error} is missing")
    except (TypeError, ValueError, OverflowError) as error:
        return Corrupt(str(id), user_id, position, str(error))


def _state(document: Document) -> tuple[datetime, datetime, int, ObjectId]:
    created_us, updated_us = document["created_us"], document["updated_us"]
    created = from_us(created_us)
    updated = created if updated_us == created_us else from_us(updated_us)
    return created, updated, int(document["version"]), document["_id"]
