"""Documents: their fields, the filters that find them, and how they become records.

    {
      _id: ObjectId("…"),             the position: grows in the order of first writing
      buddy_memory: 2,                marks our documents, and tells their layout
      user_id: "ann", id: "…",        the user as encode_user has it: "" for a row without a user
      memory: {…},                    the payload
      vector: BinData(0, "…"),        or null
      created_at: ISODate("…"), updated_at: ISODate("…"),      for people and TTL indexes
      created_us: 1795378944000001, updated_us: …,             the same in microseconds since 1970
      expires_at: ISODate("…"), expires_us: …,                 or null; the date is rounded up
      stamp: 493228110342,            another one after each change
      version: 3
    }

A summary has ``buddy_summary``, ``session_id`` and ``summary`` instead of ``buddy_memory``, ``id``
and ``memory``, so that neither can be taken for the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId
from bson.int64 import Int64

from buddy.memory.errors import ConfigError
from buddy.memory.storage.record import (
    TICK,
    Corrupt,
    Key,
    Kind,
    Reach,
    Record,
    Scope,
    check_stored,
)
from buddy.memory.storage.users import decode_user, encode_user, prefix_range
from buddy_memory_mongo import bson_payload

EARLIER_LAYOUT = 1
"""The value of the mark where ids were unique in the whole collection."""

LAYOUT = 2
"""The value of the mark: the layout of the document."""

SUFFIX = {Kind.MEMORY: "", Kind.SUMMARY: "_summaries"}
"""What the name of each kind's collection adds to the store's collection name."""

MARK = {Kind.MEMORY: "buddy_memory", Kind.SUMMARY: "buddy_summary"}
"""The field that only documents of that kind have."""

ID = {Kind.MEMORY: "id", Kind.SUMMARY: "session_id"}
"""The field that holds the id."""

PAYLOAD = {Kind.MEMORY: "memory", Kind.SUMMARY: "summary"}
"""The field that holds the payload."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
Document = Mapping[str, Any]


@lru_cache(16)  # The time of a write is encoded more than once, and for each row of a bulk.
def to_us(time: datetime) -> Int64:
    """Return an aware time in microseconds since 1970."""
    return Int64((time - _EPOCH) // TICK)


def from_us(us: int) -> datetime:
    """Undo ``to_us``. Raises OverflowError beyond the year 9999, TypeError for no number."""
    return _EPOCH + us * TICK


# --- filters


def mark(kind: Kind) -> dict[str, Any]:
    """Return the filter for our documents."""
    return {MARK[kind]: LAYOUT}


def is_ours(kind: Kind, document: Document) -> bool:
    """Tell whether a document has the mark."""
    return bool(document.get(MARK[kind]) == LAYOUT)


def of_scope(scope: Scope) -> dict[str, Any]:
    """Return the filter for the documents of a scope, ours and others."""
    if scope.reach is Reach.EVERYBODY:
        return {}
    if scope.reach is Reach.USER:
        return {"user_id": encode_user(scope.name)}
    return {"user_id": users_from(*prefix_range(scope.name or ""))}


def users_from(low: str, high: str | None) -> dict[str, Any]:
    """Return the condition for users from ``low`` up to, and without, ``high``."""
    return {"$gte": low} if high is None else {"$gte": low, "$lt": high}


def order_of(scope: Scope, *, newest_first: bool) -> list[tuple[str, int]]:
    """Return the sort that puts the documents of a scope in the order of first writing."""
    order = [("_id", -1 if newest_first else 1)]
    if scope.reach is Reach.PREFIX:
        # It changes nothing, as _id is unique. By _id alone the server may choose to walk its
        # index, through the rows of everybody.
        order.append(("user_id", 1))
    return order


def position_from(text: Any) -> ObjectId:
    """Return a position from its text in a record. Raises ConfigError."""
    try:
        return ObjectId(text)
    except (InvalidId, TypeError):
        raise ConfigError(f"{text!r:.80} is not a position in this store") from None


def by_key(kind: Kind, user_id: str | None, id: str) -> dict[str, Any]:
    """Return the filter that the unique index answers."""
    return {ID[kind]: id, "user_id": encode_user(user_id)}


def ours_by_key(kind: Kind, user_id: str | None, id: str) -> dict[str, Any]:
    """Return the filter for our document of that user and id."""
    return {ID[kind]: id, "user_id": encode_user(user_id), MARK[kind]: LAYOUT}


def key_of(kind: Kind, document: Document) -> Key:
    """Return the key of one of our documents."""
    return Key(decode_user(document["user_id"]), document[ID[kind]])


# --- records


def decode(kind: Kind, document: Document) -> Record | Corrupt:
    """Return the record of a document, or Corrupt when it holds none."""
    id, text = document.get(ID[kind]), document.get("user_id")
    if type(id) is not str or type(text) is not str:
        return Corrupt(None, str(id), str(document["_id"]), "the id or the user is not text")
    user_id = decode_user(text)
    try:
        return _decode(kind, user_id, id, document)
    except KeyError as error:
        reason = f"the field {error} is missing"
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error)
    return Corrupt(user_id, id, str(document["_id"]), reason)


def _decode(kind: Kind, user_id: str | None, id: str, document: Document) -> Record:
    payload = bson_payload.load(document[PAYLOAD[kind]])
    created_us, updated_us = document["created_us"], document["updated_us"]
    expires_us, vector = document["expires_us"], document["vector"]
    if vector is not None and not isinstance(vector, bytes):
        raise TypeError(f"the vector is a {type(vector).__name__}")
    version, created = int(document["version"]), from_us(created_us)
    check_stored(id, version)
    return Record(
        kind,
        user_id,
        id,
        payload,
        created,
        created if updated_us == created_us else from_us(updated_us),
        version,
        None if expires_us is None else from_us(expires_us),
        vector,
        int(document["stamp"]),
        str(document["_id"]),
    )
