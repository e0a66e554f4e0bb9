"""What a collection must have to be ours: its indexes, and no documents of anybody else's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING, IndexModel

from buddy.memory.errors import MemoryDbError, SchemaError
from buddy.memory.storage.record import Kind
from buddy_memory_mongo.documents import ID, LAYOUT, MARK, Document

Keys = list[tuple[str, Any]]


class Layout:
    """The indexes of one collection. ``unique`` is False where ids are kept unique elsewhere."""

    def __init__(self, kind: Kind, collection: str, *, unique: bool) -> None:
        self.kind, self.collection, self.unique = kind, collection, unique
        self.id_index: Keys = [(ID[kind], ASCENDING)]
        # Serves "newest N of this user" and "oldest N of this user" without sorting.
        self.user_index: Keys = [("user_id", ASCENDING), ("_id", ASCENDING)]

    def indexes(self) -> list[IndexModel]:
        """Return the indexes to make."""
        return [IndexModel(self.id_index, unique=self.unique), IndexModel(self.user_index)]

    def statement(self) -> str:
        """Return what somebody with the rights has to run in mongosh."""
        name = self.collection.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'db.getCollection("{name}").createIndex({{{ID[self.kind]}: 1}}, '
            f"{{unique: {str(self.unique).lower()}}})\n"
            f'db.getCollection("{name}").createIndex({{user_id: 1, _id: 1}})'
        )

    def is_complete(self, indexes: Mapping[str, Any]) -> bool:
        """Tell whether both indexes are there, given the driver's ``index_information``."""
        found = {tuple(index["key"]): index for index in indexes.values()}
        by_id = found.get(tuple(self.id_index))
        if by_id is None or tuple(self.user_index) not in found:
            return False
        if self.unique and not by_id.get("unique"):
            raise SchemaError(
                f"The index of the collection {self.collection!r} on its ids is not unique.",
                "Drop it and call create(), or open a sharded collection with sharded=True.",
            )
        return True

    def strangers(self) -> dict[str, Any]:
        """Return the filter for documents that are not ours as we write them."""
        return {MARK[self.kind]: {"$ne": LAYOUT}}

    def older(self) -> dict[str, Any]:
        """Return the filter for memories as they were written before versions and marks."""
        return {
            MARK[Kind.MEMORY]: {"$exists": False},
            "_id": {"$type": "objectId"},
            "id": {"$type": "string"},
            "memory": {"$exists": True},
            "_version": {"$exists": True},
            "created_at": {"$not": {"$type": "date"}},
        }

    def refusal(self, stranger: Document) -> MemoryDbError:
        """Return why a collection with this document cannot serve."""
        if self.kind is Kind.MEMORY and is_older(stranger):
            wrong = f"The collection {self.collection!r} was written by an older release."
            return SchemaError(wrong, "Call upgrade() to bring it up to date; no row is lost.")
        return SchemaError(
            f"The collection {self.collection!r} holds other documents than memories of this kind.",
            "Choose another collection_name; nothing was changed.",
        )


def is_older(document: Document) -> bool:
    """Tell whether a document is a memory as it was written before versions and marks."""
    return (
        MARK[Kind.MEMORY] not in document
        and isinstance(document.get("id"), str)
        and "memory" in document
        and "_version" in document
    )
