"""The documents of one database, by collection and id."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.firestore_server.field_index import FieldIndex
from tests.firestore_server.names import FieldPath
from tests.firestore_server.protocol import Document, timestamp
from tests.firestore_server.values import find, order_key


class Stored:
    """One document as it was written. Never changed: a write makes another one."""

    __slots__ = ("created", "fields", "keys", "path", "updated")

    def __init__(self, path: str, fields: dict[str, Any], created: int, updated: int) -> None:
        self.path, self.fields = path, fields
        self.created, self.updated = created, updated
        self.keys: dict[FieldPath, Any] = {}

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]

    def key(self, path: FieldPath) -> Any:
        """Return the sort key of the value at ``path``, or None where there is none."""
        try:
            return self.keys[path]
        except KeyError:
            value = find(self.fields, path)
            key = self.keys[path] = None if value is None else order_key(value)
            return key

    def message(self, database: str, mask: list[FieldPath] | None) -> Any:
        """Return the document as it goes over the wire, with the masked fields only."""
        document = Document(
            name=f"{database}/documents/{self.path}",
            create_time=timestamp(self.created),
            update_time=timestamp(self.updated),
        )
        if mask is None:
            for name, value in self.fields.items():
                document.fields[name].CopyFrom(value)
        else:
            for path in mask:
                self._project(document, path)
        return document

    def _project(self, document: Any, path: FieldPath) -> None:
        value = find(self.fields, path)
        if value is None:
            return
        fields = document.fields
        for step in path[:-1]:
            fields = fields[step].map_value.fields
        fields[path[-1]].CopyFrom(value)


class Version(NamedTuple):
    """What a transaction saw of a document: its path and time of update (0: missing)."""

    path: str
    updated: int


class Database:
    """Documents by the path of their collection, then by id; the clock never repeats a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.collections: dict[str, dict[str, Stored]] = {}
        self._indexes: dict[str, dict[FieldPath, FieldIndex]] = {}
        self._last = 0

    def now(self) -> int:
        """Return microseconds since 1970, later than any returned before."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last

    def get(self, path: str) -> Stored | None:
        parent, _, id = path.rpartition("/")
        return self.collections.get(parent, {}).get(id)

    def version(self, path: str) -> Version:
        stored = self.get(path)
        return Version(path, 0 if stored is None else stored.updated)

    def put(self, path: str, stored: Stored | None) -> None:
        """Store a document, or remove it (None)."""
        parent, _, id = path.rpartition("/")
        for index in self._indexes.get(parent, {}).values():
            index.change(self.get(path), stored)
        if stored is not None:
            self.collections.setdefault(parent, {})[id] = stored
        elif parent in self.collections:
            self.collections[parent].pop(id, None)
            if not self.collections[parent]:
                del self.collections[parent]

    def index(self, collection: str, path: FieldPath) -> FieldIndex:
        """Return the index of a field of a collection, made when it is first asked for."""
        indexes = self._indexes.setdefault(collection, {})
        if path not in indexes:
            indexes[path] = FieldIndex(path, self.collections.get(collection, {}).values())
        return indexes[path]

    def within(self, parent: str, collection_id: str, descendants: bool) -> Iterator[Stored]:
        """Yield the documents of a collection, or of all with that id below ``parent``."""
        prefix = f"{parent}/" if parent else ""
        if not descendants:
            yield from self.collections.get(prefix + collection_id, {}).values()
            return
        for path, documents in self.collections.items():
            if path.startswith(prefix) and path.rpartition("/")[2] == collection_id:
                yield from documents.values()

    def collection_ids(self, parent: str) -> list[str]:
        """Return the ids of the collections directly below a document, sorted."""
        prefix = f"{parent}/" if parent else ""
        below = (path[len(prefix) :] for path in self.collections if path.startswith(prefix))
        return sorted({path.partition("/")[0] for path in below}, key=str.encode)

    def document_ids(self, collection: str, with_missing: bool) -> list[str]:
        """Return ids, sorted; also of documents that exist only as parents of others."""
        ids = set(self.collections.get(collection, {}))
        if with_missing:
            prefix = f"{collection}/"
            ids |= {
                path[len(prefix) :].partition("/")[0]
                for path in self.collections
                if path.startswith(prefix)
            }
        return sorted(ids, key=str.encode)
