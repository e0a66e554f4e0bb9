"""The Store: each primitive is one transaction, and LMDB does the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from lmdb import Transaction

from buddy.memory.errors import ConflictError, CorruptMemoryError, TooLargeError
from buddy.memory.storage.record import Corrupt, Kind, Record, Write, merge
from buddy.memory.storage.store import Store
from buddy_memory_lmdb.database import Database
from buddy_memory_lmdb.layout import Keys, decode, encode, head, pack, unpack


class LmdbStore(Store):
    """One store in an LMDB environment. LMDB has one writer at a time, also of many processes, so
    that to read, decide and write in one transaction is atomic."""

    def __init__(self, database: Database, table_name: str) -> None:
        self._database = database
        self._keys = Keys(table_name)

    async def create(self) -> None:
        if not await self.exists():
            made = self._keys.made
            self._database.write(lambda t: t.put(made, pack(0), overwrite=False))

    async def exists(self) -> bool:
        return self._database.read(lambda t: t.get(self._keys.made) is not None, False)

    async def drop(self) -> None:
        def work(transaction: Transaction) -> None:
            for key in list(_keys(transaction, self._keys.store)):
                transaction.delete(key)

        self._database.change(work, None)

    # --- writing

    async def put(self, write: Write) -> Record:
        return self._database.write(lambda transaction: self._put(transaction, write))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return self._database.write(lambda t: [self._put(t, write) for write in writes])

    def _put(self, transaction: Transaction, write: Write) -> Record:
        found = self._find(transaction, write.record.kind, write.record.id, None)
        merged = merge(found, write)
        if found is None:
            merged = self._place(transaction, merged)
        row = encode(merged)
        if len(row) > self._database.map_size:
            raise TooLargeError(len(row), self._database.map_size)
        transaction.put(self._keys.rows(merged.kind) + pack(merged.position), row)
        return merged

    def _place(self, transaction: Transaction, record: Record) -> Record:
        """Give a new row its position, and lead its id and its user there."""
        position = unpack(_get(transaction, self._keys.made)) + 1
        transaction.put(self._keys.made, pack(position))
        transaction.put(self._keys.id(record.kind, record.id), pack(position))
        if record.user_id is not None:
            transaction.put(self._keys.user(record.kind, record.user_id) + pack(position), b"")
        return record._replace(position=position)

    # --- reading

    def _find(self, t: Transaction, kind: Kind, id: str, user_id: str | None) -> Record | None:
        """Return the row (of that user) without its payload."""
        at = _get(t, self._keys.id(kind, id))
        if not at:
            return None
        try:
            record = head(kind, unpack(at), _get(t, self._keys.rows(kind) + at))
        except (TypeError, ValueError) as error:
            raise CorruptMemoryError(id, str(error)) from None
        return record if user_id in (None, record.user_id) else None

    def _row(self, transaction: Transaction, kind: Kind, position: int) -> Record | Corrupt:
        value = _get(transaction, self._keys.rows(kind) + pack(position))
        return decode(kind, position, value)

    async def get(self, kind: Kind, id: str, user_id: str | None) -> Record | Corrupt | None:
        def work(transaction: Transaction) -> Record | Corrupt | None:
            found = self._find(transaction, kind, id, user_id)
            return None if found is None else self._row(transaction, kind, found.position)

        return self._database.read(work, None)

    async def page(
        self,
        kind: Kind,
        user_id: str | None,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        prefix = self._prefix(kind, user_id)

        def work(transaction: Transaction) -> list[Record | Corrupt]:
            keys = (_keys_backwards if newest_first else _keys)(transaction, prefix, after)
            return [self._row(transaction, kind, unpack(key)) for key in islice(keys, limit)]

        return self._database.read(work, [])

    def _prefix(self, kind: Kind, user_id: str | None) -> bytes:
        return self._keys.rows(kind) if user_id is None else self._keys.user(kind, user_id)

    async def count(self, kind: Kind, user_id: str | None) -> int:
        prefix = self._prefix(kind, user_id)
        return self._database.read(lambda t: sum(1 for _ in _keys(t, prefix)), 0)

    # --- deleting

    async def delete(
        self, kind: Kind, id: str, user_id: str | None, if_version: int | None
    ) -> bool:
        def work(transaction: Transaction) -> bool:
            found = self._find(transaction, kind, id, user_id)
            _check_version(id, if_version, 0 if found is None else found.version)
            return found is not None and self._remove(transaction, found)

        if not self._database.is_made():
            _check_version(id, if_version, 0)
        return self._database.change(work, False)

    async def delete_many(self, kind: Kind, ids: Sequence[str], user_id: str | None) -> int:
        def work(transaction: Transaction) -> int:
            found = [self._find(transaction, kind, id, user_id) for id in ids]
            return sum(self._remove(transaction, record) for record in found if record)

        return self._database.change(work, 0)

    async def delete_all(self, kind: Kind, user_id: str | None) -> int:
        def work(transaction: Transaction) -> int:
            positions = [unpack(key) for key in _keys(transaction, self._prefix(kind, user_id))]
            for position in positions:
                value = _get(transaction, self._keys.rows(kind) + pack(position))
                self._remove(transaction, head(kind, position, value))
            return len(positions)

        return self._database.change(work, 0)

    def _remove(self, transaction: Transaction, record: Record) -> bool:
        at = pack(record.position)
        transaction.delete(self._keys.id(record.kind, record.id))
        if record.user_id is not None:
            transaction.delete(self._keys.user(record.kind, record.user_id) + at)
        return transaction.delete(self._keys.rows(record.kind) + at)

    # --- the rest

    async def ping(self) -> None:
        self._database.read(lambda transaction: transaction.get(self._keys.made), None)

    async def close(self) -> None:
        self._database.close()

    async def facts(self) -> dict[str, str]:
        return {"map size": f"{self._database.map_size:,} bytes"}


def _check_version(id: str, expected: int | None, actual: int) -> None:
    if expected not in (None, actual):
        raise ConflictError(id, expected or 0, actual)


def _get(transaction: Transaction, key: bytes) -> bytes:
    return bytes(transaction.get(key, b""))


def _keys(transaction: Transaction, prefix: bytes, after: int | None = None) -> Iterator[bytes]:
    """Yield the keys that begin so, oldest first, from behind a position."""
    cursor = transaction.cursor()
    found = cursor.set_range(prefix if after is None else prefix + pack(after + 1))
    while found and (key := bytes(cursor.key())).startswith(prefix):
        yield key
        found = cursor.next()


def _keys_backwards(transaction: Transaction, prefix: bytes, before: int | None) -> Iterator[bytes]:
    """Yield them newest first, from before a position."""
    cursor = transaction.cursor()
    end = prefix + (b"\xff" * 8 if before is None else pack(before))
    found = cursor.prev() if cursor.set_range(end) else cursor.last()
    while found and (key := bytes(cursor.key())).startswith(prefix):
        yield key
        found = cursor.prev()
