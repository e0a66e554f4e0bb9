"""The layout of a collection: its indexes, and which documents are ours, earlier or foreign."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING, IndexModel

from buddy.memory.errors import SchemaError
from buddy.memory.storage.record import Kind
from buddy_memory_mongo.encoding import EARLIER_LAYOUT, ID, LAYOUT, MARK, Document

Keys = tuple[tuple[str, int], ...]
Indexes = Mapping[Keys, Mapping[str, Any]]
"""The options of each index, by its keys."""


class Layout:
    """What one collection must have."""

    def __init__(self, kind: Kind, collection: str) -> None:
        self.kind, self.collection = kind, collection
        # Names a row. It is also the shard key, which keeps it unique on a sharded cluster.
        self._key_index: Keys = (("user_id", ASCENDING), (ID[kind], ASCENDING))
        self.id_index: Keys = ((ID[kind], ASCENDING),)
        other = next(each for each in Kind if each is not kind)
        self._other_key_index: Keys = (("user_id", ASCENDING), (ID[other], ASCENDING))
        # Serves the newest or oldest rows of a user without sorting, and the list of users.
        self._user_index: Keys = (("user_id", ASCENDING), ("_id", ASCENDING))
        # By it the server removes rows that have ended, within a minute or so.
        self._end_index: Keys = (("expires_at", ASCENDING),)

    # --- indexes

    def indexes(self) -> list[IndexModel]:
        """Return the indexes to make."""
        return [
            self.key_index(),
            IndexModel(self.id_index),
            IndexModel(self._user_index),
            IndexModel(self._end_index, expireAfterSeconds=0),
        ]

    def statement(self) -> str:
        """Return what an administrator has to run in mongosh."""
        name = self.collection.replace("\\", "\\\\").replace('"', '\\"')
        make, id = f'db.getCollection("{name}").createIndex', ID[self.kind]
        return (
            f"{make}({{user_id: 1, {id}: 1}}, {{unique: true}})\n"
            f"{make}({{{id}: 1}})\n{make}({{user_id: 1, _id: 1}})\n"
            f"{make}({{expires_at: 1}}, {{expireAfterSeconds: 0}})"
        )

    def is_complete(self, indexes: Indexes) -> bool:
        """Tell whether all indexes are there.

        Raises SchemaError for indexes with which a user and an id do not name a row.
        """
        self.refuse_others(indexes)
        if self.has_unique_ids(indexes):
            raise self.legacy_layout()
        by_key = indexes.get(self._key_index)
        if by_key is None:
            return False
        if not by_key.get("unique") or "collation" in by_key:
            raise SchemaError(
                f"The index of the collection {self.collection!r} on user_id and "
                f"{ID[self.kind]} is not unique, or has a collation.",
                "Drop it and call create().",
            )
        return indexes.keys() >= {self.id_index, self._user_index, self._end_index}

    def key_index(self) -> IndexModel:
        """Return the index that names rows."""
        return IndexModel(self._key_index, unique=True)

    def names_rows(self, indexes: Indexes) -> bool:
        """Tell whether there is the index that names rows, which no earlier layout had."""
        return self._key_index in indexes

    def refuse_others(self, indexes: Indexes) -> None:
        """Raise SchemaError for the indexes of an earlier layout, or of the other kind of rows."""
        if self.is_earlier(indexes):
            raise self.earlier_layout()
        if self._other_key_index in indexes and self._key_index not in indexes:
            raise self._other_documents()

    def has_unique_ids(self, indexes: Indexes) -> bool:
        """Tell whether ids are unique in the whole collection, as older software had them."""
        return bool(indexes.get(self.id_index, {}).get("unique"))

    def is_earlier(self, indexes: Indexes) -> bool:
        """Tell whether the indexes are those of an earlier buddy-memory."""
        return self.has_unique_ids(indexes) and self._user_index in indexes

    # --- documents

    def ours(self) -> dict[str, Any]:
        """Return the filter for documents as we write them."""
        return {MARK[self.kind]: LAYOUT}

    def foreign(self) -> dict[str, Any]:
        """Return the filter for documents that are not ours as we write them."""
        return {MARK[self.kind]: {"$ne": LAYOUT}}

    def earlier(self) -> dict[str, Any]:
        """Return the filter for documents of an earlier buddy-memory."""
        return {MARK[self.kind]: EARLIER_LAYOUT}

    def legacy(self) -> dict[str, Any]:
        """Return the filter for memories of older software, which ``upgrade`` brings up."""
        return {
            MARK[Kind.MEMORY]: {"$exists": False},
            "_id": {"$type": "objectId"},
            "id": {"$type": "string"},
            "memory": {"$exists": True},
            "_version": {"$exists": True},
        }

    def misfits(self) -> dict[str, Any]:
        """Return the filter for documents with a memory that are neither ours nor brought up."""
        return {
            MARK[Kind.MEMORY]: {"$exists": False},
            "memory": {"$exists": True},
            "$nor": [self.legacy()],
        }

    # --- errors

    def refusal(self, document: Document) -> SchemaError:
        """Return why a collection with this foreign document cannot be used."""
        mark = document.get(MARK[self.kind])
        if not isinstance(mark, bool) and mark == EARLIER_LAYOUT:
            return self.earlier_layout()
        if self.kind is Kind.MEMORY and _is_legacy(document):
            return self.legacy_layout()
        return self._other_documents()

    def _other_documents(self) -> SchemaError:
        return SchemaError(
            f"The collection {self.collection!r} holds other documents than memories of this kind.",
            "Choose another collection_name; nothing was changed.",
        )

    def two_of_one_key(self) -> SchemaError:
        """Return the error for documents that stand twice and may not be deleted."""
        return SchemaError(
            f"The collection {self.collection!r} holds two documents of one user and id.",
            "Delete one of them and call create() again.",
        )

    def earlier_layout(self) -> SchemaError:
        """Return the error for the layout of an earlier buddy-memory."""
        return SchemaError(
            f"The collection {self.collection!r} has the layout of an earlier buddy-memory.",
            "Export it with the release that wrote it, and import it here.",
        )

    def legacy_layout(self) -> SchemaError:
        """Return the error for the layout of older software."""
        return SchemaError(
            f"The collection {self.collection!r} was written by older software.",
            "Call upgrade() to bring it up to date; no row is lost.",
        )


def _is_legacy(document: Document) -> bool:
    return (
        MARK[Kind.MEMORY] not in document
        and isinstance(document.get("_id"), ObjectId)
        and isinstance(document.get("id"), str)
        and "memory" in document
        and "_version" in document
    )
