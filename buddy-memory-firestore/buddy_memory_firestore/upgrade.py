"""Rows as releases before 0.1 laid them out, moved to where they are kept now.

They stand at ``{collection}/{user}/memories/{id}`` with times in seconds, where an id is unique
only within its user.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from google.cloud.firestore_v1 import types

from buddy.memory.storage import clock, legacy
from buddy.memory.storage.record import Corrupt, Kind, Record
from buddy_memory_firestore import calls as protocol
from buddy_memory_firestore.calls import NO_FIELDS
from buddy_memory_firestore.documents import Position, to_document
from buddy_memory_firestore.errors import PreconditionFailed
from buddy_memory_firestore.names import document_id

if TYPE_CHECKING:
    from buddy_memory_firestore.store import FirestoreStore

CURRENT, UPGRADING = 1, 0
"""Formats in the marker: that of today, and a move under way or interrupted."""

_BELOW = "memories"
_PAGE = 300
_Value: Any = types.Value


class _Old(NamedTuple):
    """Where an old row stands, and what it sorts by."""

    created_at: float
    path: str


async def is_older(store: FirestoreStore) -> bool:
    """Tell whether old rows are here: documents that exist only as parents of ``memories``."""
    collection = store.collections[Kind.MEMORY]
    # The first two are enough: of a store of today at most the marker sorts before a user.
    found, _ = await store.calls.list_documents("", collection, 2, NO_FIELDS)
    for document in found:
        if not document.HasField("create_time"):
            path = document.name.partition("/documents/")[2]
            return _BELOW in await store.calls.list_collections(path)
    return False


async def is_needed(store: FirestoreStore) -> bool:
    """Tell whether old rows are here, or a move did not come to its end."""
    marker = (await store.calls.get([store.marker])).get(store.marker)
    interrupted = marker is not None and marker.fields["format"].integer_value == UPGRADING
    return interrupted or await is_older(store)


async def run(store: FirestoreStore) -> None:
    """Move every old row, in the order of creation. Safe to repeat, and to run twice at once."""
    await store.calls.commit([await store.marking(UPGRADING)])
    rows = sorted([row async for row in _old_rows(store)])
    order = await store.order(Kind.MEMORY)
    for row in rows:
        while not await _move(store, row.path, order.take()):
            pass  # Somebody moved or changed it at this moment: look again.
    await store.calls.commit([await store.marking(CURRENT)])


async def older(store: FirestoreStore) -> AsyncIterator[list[Record | Corrupt]]:
    """Yield pages of the old rows in the order of creation, each under a name of its own."""
    if not await is_needed(store):
        return  # What follows would look below each row of today.
    rows = sorted([row async for row in _old_rows(store)])
    taken: set[str] = set()
    for start in range(0, len(rows), _PAGE):
        paths = [row.path for row in rows[start : start + _PAGE]]
        found = await store.calls.get(paths)
        page: list[Record | Corrupt] = []
        for path in paths:
            if path in found:
                row = _read(path, found[path])
                row = row._replace(id=next(n for n in _names(row, path) if n not in taken))
                taken.add(row.id)
                page.append(row)
        yield page


async def _old_rows(store: FirestoreStore) -> AsyncIterator[_Old]:
    collection = store.collections[Kind.MEMORY]
    async for user in _all(store, "", collection, NO_FIELDS):
        path = user.name.partition("/documents/")[2]
        async for document in _all(store, path, _BELOW, ["created_at"]):
            if document.HasField("create_time"):
                yield _Old(_age(document), document.name.partition("/documents/")[2])


def _age(document: Any) -> float:
    try:
        created = legacy.read_time(_plain(document).get("created_at"))
    except ValueError:
        created = None
    return created.timestamp() if created else 0.0


async def _all(
    store: FirestoreStore, parent: str, collection: str, mask: list[str]
) -> AsyncIterator[Any]:
    token = ""
    while True:
        found, token = await store.calls.list_documents(parent, collection, _PAGE, mask, token)
        for document in found:
            yield document
        if not token:
            return


async def _move(store: FirestoreStore, path: str, order: int) -> bool:
    """Write the row anew and delete the old one, in one commit; False: look again."""
    old = (await store.calls.get([path])).get(path)
    if old is None:
        return True  # Moved by somebody else.
    row = _read(path, old)
    for id in _names(row, path):
        row = row._replace(id=id)
        if await store.look(Kind.MEMORY, id) is None:
            break
    new_path = store.path(Kind.MEMORY, row.id)
    name = await store.calls.name(new_path)
    new = protocol.Write(update=_document_of_today(name, new_path, row, order, old.fields))
    new.current_document.exists = False
    gone = protocol.Write(delete=old.name)
    gone.current_document.update_time.CopyFrom(old.update_time)
    try:
        await store.calls.commit([new, gone])
    except PreconditionFailed:
        return False
    return True


def _document_of_today(
    name: str, path: str, row: Record | Corrupt, order: int, fields: Mapping[str, Any]
) -> Any:
    """Return what to write for an old row; the fields of an unreadable one stay as they stand."""
    place = Position(order, document_id(row.id))
    if isinstance(row, Record):
        return to_document(name, path, row._replace(position=place))
    now = clock.utc_now()
    document = to_document(name, path, Record(Kind.MEMORY, row.id, None, {}, now, now, 1, place))
    for field in legacy.FIELDS[1:]:
        if field in fields:
            document.fields[field].CopyFrom(fields[field])
    return document


def _read(path: str, document: Any) -> Record | Corrupt:
    fields = _plain(document)
    fields["id"] = fields.get("id") or path.rpartition("/")[2]
    return legacy.read_row(map(fields.get, legacy.FIELDS))


def _names(row: Record | Corrupt, path: str) -> tuple[str, str, str]:
    """Return ids to choose from: another user's row may have the first one."""
    return row.id, f"{row.id}@{row.user_id}", f"{row.id}@{path}"


def _plain(document: Any) -> dict[str, Any]:
    """Return the fields of a document that was not written by this backend."""
    return {name: _value(value) for name, value in document.fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value_type")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "map_value":
        return {name: _value(item) for name, item in value.map_value.fields.items()}
    if kind == "timestamp_value":
        return _Value.wrap(value).timestamp_value
    return None if kind in (None, "null_value") else getattr(value, kind)
