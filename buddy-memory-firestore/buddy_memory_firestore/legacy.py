"""Memories as older software laid them out: found, and read.

They are at ``{collection}/{user}/memories/{id}`` with times in seconds, where an id is unique
only within its user.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from google.cloud.firestore_v1 import types

from buddy.memory.storage import legacy
from buddy.memory.storage.record import Corrupt, Key, Record
from buddy_memory_firestore.calls import NO_FIELDS, Calls

PAGE = 300
"""Documents read at a time."""

_BELOW = "memories"
_Value: Any = types.Value


class Place(NamedTuple):
    """Where a legacy document is, and what it sorts by."""

    created_at: float
    path: str


async def is_legacy(calls: Calls, document: Any) -> bool:
    """Tell whether a listed document is the parent of legacy ones: it does not exist itself."""
    if document.HasField("create_time"):
        return False
    return _BELOW in await calls.list_collections(path_of(document))


async def places(calls: Calls, collection: str) -> list[Place]:
    """Return the legacy documents below a collection, oldest first."""
    found: list[Place] = []
    async for user in _all(calls, "", collection, NO_FIELDS):
        async for document in _all(calls, path_of(user), _BELOW, ["created_at"]):
            if document.HasField("create_time"):
                found.append(Place(_age(document), path_of(document)))
    return sorted(found)


async def pages(calls: Calls, collection: str) -> AsyncIterator[list[Record | Corrupt]]:
    """Yield the legacy memories in pages, oldest first, with distinct keys."""
    found = await places(calls, collection)
    taken: set[Key] = set()
    for start in range(0, len(found), PAGE):
        paths = [place.path for place in found[start : start + PAGE]]
        documents = await calls.get(paths)
        page: list[Record | Corrupt] = []
        for path in paths:
            if path in documents:
                names = candidates(read(path, documents[path]), path)
                page.append(next(row for row in names if row.key not in taken))
                taken.add(page[-1].key)
        yield page


def read(path: str, document: Any) -> Record | Corrupt:
    """Return the memory of a legacy document."""
    fields = {name: _plain(value) for name, value in document.fields.items()}
    fields["id"] = fields.get("id") or path.rpartition("/")[2]
    return legacy.read_row(map(fields.get, legacy.FIELDS))


def candidates(row: Record | Corrupt, path: str) -> list[Record | Corrupt]:
    """Return the row under the names it may get: its own, else one that no other document has."""
    return [row, row._replace(id=f"{row.id}@{path}")]


def path_of(document: Any) -> str:
    """Return a document's path below ``documents``."""
    name: str = document.name
    return name.partition("/documents/")[2]


def _age(document: Any) -> float:
    try:
        value = document.fields.get("created_at")
        created = legacy.read_time(None if value is None else _plain(value))
    except ValueError:
        created = None
    return created.timestamp() if created else 0.0


async def _all(calls: Calls, parent: str, collection: str, mask: list[str]) -> AsyncIterator[Any]:
    token = ""
    while True:
        found, token = await calls.list_documents(parent, collection, PAGE, mask, token)
        for document in found:
            yield document
        if not token:
            return


def _plain(value: Any) -> Any:
    """Return a value that was not written by this backend."""
    kind = value.WhichOneof("value_type")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "map_value":
        return {name: _plain(item) for name, item in value.map_value.fields.items()}
    if kind == "timestamp_value":
        return _Value.wrap(value).timestamp_value
    return None if kind in (None, "null_value") else getattr(value, kind)
