"""The memories that older software left in a store, as they can be read without changing it."""

from __future__ import annotations

from collections.abc import Iterator

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.record import Record
from buddy.memory.storage.stored import StoredContract
from buddy.memory.transfer.errors import SourceError
from buddy.memory.transfer.rows import record
from buddy.memory.v2.db.base import MemoryDb


class Older:
    """What ``read`` found the last time it was at its end: how many ``rows`` it yielded, and what
    was wrong with those that it could not, by id (in Redis: by key)."""

    def __init__(self, db: MemoryDb) -> None:
        self._db = db
        self.rows = 0
        self.unreadable: dict[str, str] = {}

    def read(self) -> Iterator[Record]:
        """Yield the readable ones, oldest first. A plugin that is no Store has none."""
        self.rows, self.unreadable = 0, {}
        if not isinstance(self._db, StoredContract):
            return
        for row in self._db.iter_older_memories():
            if isinstance(row, CorruptMemoryError):
                self.unreadable[row.id] = row.reason
            else:
                self.rows += 1
                yield record(row)

    def any(self) -> bool:
        """Tell whether there is a readable one."""
        return any(True for _ in self.read())


def check_exists(source: MemoryDb) -> None:
    """Raise SourceError unless the source was ever made: a wrong name is no empty store."""
    if source.table_exists():
        return
    if Older(source).any():
        raise SourceError(
            "The store holds memories of older software. Copy them with --from-legacy "
            "(from_legacy=True), or call upgrade() first."
        )
    raise SourceError("There is nothing of this name yet. Is the name right?")
