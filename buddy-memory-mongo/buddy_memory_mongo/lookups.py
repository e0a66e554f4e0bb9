"""Reads by key, by id alone, and of users: queries that an index answers, in few commands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from buddy.memory.storage.record import Key, Kind
from buddy.memory.storage.users import encode_user, prefix_range
from buddy_memory_mongo import encoding
from buddy_memory_mongo.database import Database
from buddy_memory_mongo.encoding import ID, MARK, Document
from buddy_memory_mongo.ends import ALIVE

PART = 1000
"""Rows that are written, or asked for, in one command. The driver's objects for one part are freed
before those for the next are made: ten thousand rows of them cost the garbage collector more time
than nine more round trips take."""

_KEYS = 500
"""Index entries that a list of users reads at a time."""


def _parts(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + PART] for start in range(0, len(items), PART))


def _one_of(values: Iterable[str]) -> Any:
    """Return the condition for a field that has one of these values."""
    distinct = list(dict.fromkeys(values))
    return {"$in": distinct} if len(distinct) > 1 else distinct[0]


# --- by user and id


async def find_keys(
    database: Database,
    kind: Kind,
    keys: Sequence[Key],
    *,
    fields: dict[str, Any] | None = None,
    primary: bool = False,
) -> dict[Key, Document]:
    """Return our documents with these keys, or these ``fields`` of them, also of rows that have
    ended."""
    if fields is not None:
        fields = {**fields, "user_id": True, ID[kind]: True, MARK[kind]: True}
    found: dict[Key, Document] = {}
    for part in _parts(keys):
        for document in await _find_part(database, kind, part, fields, primary):
            if encoding.is_ours(kind, document):
                found[encoding.key_of(kind, document)] = document
    return found


async def find_living_keys(
    database: Database, kind: Kind, keys: Sequence[Key]
) -> dict[Key, Document]:
    """Return our documents with these keys that have not ended.

    Only where some have an end, which few do, the server is asked whether it has come.
    """
    found = await find_keys(database, kind, keys)
    ending = [key for key, document in found.items() if document.get("expires_at") is not None]
    for part in _parts(ending):
        living = await _find_part(database, kind, part, None, False, ALIVE)
        there = {encoding.key_of(kind, document) for document in living}
        for key in part:
            if key not in there:
                del found[key]
    return found


async def _find_part(
    database: Database,
    kind: Kind,
    keys: Sequence[Key],
    fields: Any,
    primary: bool,
    condition: dict[str, Any] | None = None,
) -> list[Document]:
    pairs = [(encode_user(key.user_id), key.id) for key in keys]
    users, ids = _one_of(user for user, _ in pairs), _one_of(id for _, id in pairs)
    query = {ID[kind]: ids, "user_id": users, **(condition or {})}
    if isinstance(users, str) or isinstance(ids, str):
        found: list[Document] = await database.find(
            kind, query, fields, limit=len(keys), batch_size=len(keys), primary=primary
        )
        return found
    # The first stage is answered by an index, which an $or alone is not on every server. The second
    # leaves out the other pairs of these users and ids.
    by_user: dict[str, list[str]] = {}
    for user, id in pairs:
        by_user.setdefault(user, []).append(id)
    exact = [{"user_id": user, ID[kind]: _one_of(ids)} for user, ids in by_user.items()]
    pipeline: list[dict[str, Any]] = [{"$match": query}, {"$match": {"$or": exact}}]
    if fields is not None:
        pipeline.append({"$project": fields})
    return await database.aggregate(kind, pipeline, primary=primary, batchSize=len(keys) + 1)


# --- by id alone


async def find_ids(database: Database, kind: Kind, ids: Sequence[str]) -> list[Document]:
    """Return our documents with these ids; two of an id that more users have."""
    found: dict[str, list[Document]] = {}
    for part in _parts(ids):
        missing = part
        while missing:
            # Two for each. When they are used up, one id has two at least, and is done.
            limit = 2 * len(missing)
            some = await database.find_ours(
                kind, {ID[kind]: _one_of(missing), **ALIVE}, limit=limit, batch_size=limit
            )
            by_id: dict[str, list[Document]] = {}
            for document in some:
                by_id.setdefault(document[ID[kind]], []).append(document)
            found |= by_id
            if len(some) < limit:
                break
            missing = [id for id in missing if len(by_id.get(id, ())) < 2]
    return [document for documents in found.values() for document in documents[:2]]


# --- users


async def find_users(
    database: Database, kind: Kind, prefix: str, after: str | None, limit: int | None
) -> list[str]:
    """Return the encoded users who have a document of ours, in code-point order."""
    low, high = prefix_range(prefix)
    users = encoding.users_from(low, high)
    if after is not None and (behind := encode_user(after)) >= low:
        users = _behind(users, behind)
    if limit is None:
        return await _all_users(database, kind, users)
    found: list[str] = []
    while len(found) < limit:
        # One query reads the next entries, and the one after it skips the rest of the last user.
        entries = await database.find_ours(
            kind,
            {"user_id": users, **ALIVE},
            projection={"_id": False, "user_id": True, MARK[kind]: True},
            sort=[("user_id", 1)],
            limit=_KEYS,
            batch_size=_KEYS,
        )
        found += dict.fromkeys(entry["user_id"] for entry in entries)
        if len(entries) < _KEYS:
            break
        users = _behind(users, found[-1])
    return found[:limit]


def _behind(users: dict[str, Any], user: str) -> dict[str, Any]:
    high = {"$lt": users["$lt"]} if "$lt" in users else {}
    return {"$gt": user, **high}


async def _all_users(database: Database, kind: Kind, users: dict[str, Any]) -> list[str]:
    # In this form the server reads one entry for each user from the index (DISTINCT_SCAN).
    pipeline: list[dict[str, Any]] = [
        {"$match": {"user_id": users}},
        {"$sort": {"user_id": 1, "_id": 1}},
        {
            "$group": {
                "_id": "$user_id",
                "mark": {"$first": f"${MARK[kind]}"},
                "end": {"$first": "$expires_at"},
            }
        },
        {"$sort": {"_id": 1}},
    ]
    groups = await database.aggregate(kind, pipeline, allowDiskUse=True)
    return [
        group["_id"]
        for group in groups
        if (group.get("mark") == encoding.LAYOUT and group.get("end") is None)
        or await _has_ours(database, kind, group["_id"])
    ]


async def _has_ours(database: Database, kind: Kind, user: str) -> bool:
    """Tell whether a user whose first document may not count has one that does."""
    query = {"user_id": user, **encoding.mark(kind), **ALIVE}
    return bool(await database.find(kind, query, {"_id": True}, limit=-1))
