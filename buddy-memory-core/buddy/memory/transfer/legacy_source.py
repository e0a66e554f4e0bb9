"""The memories that older software left in a store, read without changing it."""

from __future__ import annotations

from collections.abc import Iterator

from buddy.memory.errors import CorruptMemoryError
from buddy.memory.storage.record import Record
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.transfer.checksums import key
from buddy.memory.transfer.errors import SourceError
from buddy.memory.transfer.rows import record
from buddy.memory.v2.db.base import MemoryDb


class LegacySource:
    """A store of older software as a source of rows.

    After ``read`` was at its end, ``rows`` counts what it yielded, and ``unreadable`` has the id
    (in Redis: the key) of each other row, and what is wrong with it. Where a user has an id twice,
    which older software allowed, all but the first are among these.
    """

    def __init__(self, db: MemoryDb) -> None:
        self._db = db
        self.rows = 0
        self.unreadable: list[tuple[str, str]] = []

    def read(self) -> Iterator[Record]:
        """Yield the readable rows, oldest first. A plugin without a Store has none."""
        self.rows, self.unreadable = 0, []
        if not isinstance(self._db, StoreBackedContract):
            return
        seen: set[bytes] = set()
        for row in self._db.iter_legacy_memories():
            if isinstance(row, CorruptMemoryError):
                self.unreadable.append((row.id, row.reason))
                continue
            found = record(row)
            name = key(found)
            if name in seen:
                self.unreadable.append((found.id, f"there is an earlier one of {found.user_id!r}"))
                continue
            seen.add(name)
            self.rows += 1
            yield found

    def any(self) -> bool:
        """Tell whether there is a readable row."""
        return any(True for _ in self.read())


def check_exists(source: MemoryDb) -> None:
    """Raise SourceError unless the source was ever made: a wrong name is not an empty store."""
    if source.table_exists():
        return
    if LegacySource(source).any():
        raise SourceError(
            "The store holds memories of older software. Copy them with --from-legacy "
            "(from_legacy=True), or call upgrade() first."
        )
    raise SourceError(f"There is nothing at {source!r} yet. Is the name right?")
