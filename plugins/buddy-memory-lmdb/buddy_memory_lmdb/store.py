"""The Store: each primitive is one transaction, and LMDB does the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from lmdb import Transaction

from buddy.memory.errors import ConflictError, CorruptMemoryError, TooLargeError
from buddy.memory.storage import clock
from buddy.memory.storage.record import (
    Corrupt,
    Key,
    Kind,
    Record,
    Scope,
    Write,
    has_ended,
    merge,
    new_stamp,
)
from buddy.memory.storage.store import Store
from buddy_memory_lmdb.client import Database, get, keys_backwards, keys_of
from buddy_memory_lmdb.encoding import decode, encode, head
from buddy_memory_lmdb.index import Index
from buddy_memory_lmdb.schema import Keys, new_generation, pack, unpack

T = TypeVar("T")
Work = Callable[[Transaction], T]


class LmdbStore(Store):
    """One store in an LMDB environment. LMDB has one writer at a time, also of many processes, so
    that to read, decide and write in one transaction is atomic."""

    sums_stamps = True

    def __init__(self, database: Database, table_name: str) -> None:
        self._database = database
        self._keys = Keys(table_name)
        self._index = Index(self._keys)

    # --- the place

    async def create(self) -> None:
        if not await self.exists():
            self._write(lambda transaction: None)

    async def exists(self) -> bool:
        return bool(self._read(self._made, b""))

    async def drop(self) -> None:
        def work(transaction: Transaction) -> None:
            for key in list(keys_of(transaction, self._keys.store)):
                transaction.delete(key)

        self._change(work, None)

    async def generation(self, kind: Kind) -> str:
        made = self._read(self._made, b"")
        return self._keys.generation(made) if made else ""

    async def ping(self) -> None:
        self._read(self._made, b"")

    async def close(self) -> None:
        self._database.close()

    def data_files(self) -> tuple[Path, ...]:
        return self._database.files

    async def server_info(self) -> dict[str, str]:
        return {"map size": f"{self._database.map_size:,} bytes"}

    # --- transactions, each of which looks at the layout first

    def _made(self, transaction: Transaction) -> bytes:
        """Return what the store is marked with, b"" when it was never made."""
        made = get(transaction, self._keys.made)
        if made:
            self._keys.generation(made)  # Raises SchemaError.
        return made

    def _read(self, work: Work[T], empty: T) -> T:
        return self._database.read(lambda t: work(t) if self._made(t) else empty, empty)

    def _change(self, work: Work[T], empty: T) -> T:
        return self._database.change(lambda t: work(t) if self._made(t) else empty, empty)

    def _write(self, work: Work[T]) -> T:
        def made_first(transaction: Transaction) -> T:
            if not self._made(transaction):
                transaction.put(self._keys.made, new_generation())
            return work(transaction)

        return self._database.write(made_first)

    # --- writing

    async def put(self, write: Write) -> Record:
        return self._write(lambda transaction: self._put(transaction, write))

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        return self._write(lambda t: [self._put(t, write) for write in writes])

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        def work(transaction: Transaction) -> list[Key]:
            new = [w for w in writes if self._living(transaction, *w.record[:3]) is None]
            return [self._put(transaction, write).key for write in new]

        return self._write(work)

    def _put(self, transaction: Transaction, write: Write) -> Record:
        kind, user_id, id = write.record[:3]
        found = self._head(transaction, kind, user_id, id)
        merged = merge(found, write, clock.utc_now())
        if merged.position is None:
            self._index.remove(transaction, kind, user_id, id)  # It has ended.
            position = unpack(get(transaction, self._keys.last)) + 1
            transaction.put(self._keys.last, pack(position))
            merged = merged._replace(position=position)
        self._index.put(transaction, merged, self._row(merged))
        return merged

    def _row(self, record: Record) -> bytes:
        row = encode(record)
        if len(row) > self._database.map_size:
            raise TooLargeError(len(row), self._database.map_size)
        return row

    async def rewrite(
        self,
        kind: Kind,
        user_id: str | None,
        id: str,
        if_stamp: int,
        *,
        payload: dict[str, Any],
        vector: bytes | None,
    ) -> bool:
        def work(transaction: Transaction) -> bool:
            found = self._living(transaction, kind, user_id, id)
            if found is None or found.stamp != if_stamp:
                return False
            new = found._replace(payload=payload, vector=vector, stamp=new_stamp())
            self._index.put(transaction, new, self._row(new))
            return True

        return self._change(work, False)

    # --- reading

    def _head(self, t: Transaction, kind: Kind, user_id: str | None, id: str) -> Record | None:
        """Return a row without its payload."""
        at = self._index.place(t, kind, user_id, id)
        if not at:
            return None
        try:
            return head(kind, unpack(at), get(t, self._keys.rows(kind) + at))
        except (TypeError, ValueError) as error:
            raise CorruptMemoryError(id, str(error)) from None

    def _living(self, t: Transaction, kind: Kind, user_id: str | None, id: str) -> Record | None:
        """Return a row that has not ended, without its payload."""
        found = self._head(t, kind, user_id, id)
        return None if found is None or has_ended(found, clock.utc_now()) else found

    def _rows(self, t: Transaction, kind: Kind, places: Sequence[bytes]) -> list[Record | Corrupt]:
        rows = self._keys.rows(kind)
        return [decode(kind, unpack(at), get(t, rows + at)) for at in places]

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        (found,) = await self.get_many(kind, [Key(user_id, id)])
        return found

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        def work(transaction: Transaction) -> list[Record | Corrupt | None]:
            gone = {b"", *self._index.ended(transaction, kind)}
            found = [self._index.place(transaction, kind, *key) for key in keys]
            places = [b"" if at in gone else at for at in found]
            rows = iter(self._rows(transaction, kind, [at for at in places if at]))
            found_rows = [next(rows) if at else None for at in places]
            return [_named(row, *key) for row, key in zip(found_rows, keys, strict=True)]

        return self._read(work, [None] * len(keys))

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        def work(transaction: Transaction) -> list[Record | Corrupt]:
            gone, found = {*self._index.ended(transaction, kind)}, list[Record | Corrupt]()
            for id in ids:
                keys = keys_of(transaction, self._keys.ids(kind, id))
                places = (get(transaction, key) for key in keys)
                first = [*islice((at for at in places if at not in gone), 2)]
                rows = self._rows(transaction, kind, first)
                found += [row._replace(id=id) if isinstance(row, Corrupt) else row for row in rows]
            return found

        return self._read(work, [])

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        def work(transaction: Transaction) -> list[Record | Corrupt]:
            gone, found = {*self._index.ended(transaction, kind)}, list[bytes]()
            for index in self._index.of_scope(transaction, kind, scope):
                keys = _places(transaction, index, newest_first, after)
                # Of each user no more than what the whole page may need.
                found += islice((key[-8:] for key in keys if key[-8:] not in gone), limit)
            found.sort(reverse=newest_first)
            return self._rows(transaction, kind, found[:limit])

        return self._read(work, [])

    async def count(self, kind: Kind, scope: Scope) -> int:
        def work(transaction: Transaction) -> int:
            return len(self._places_of(transaction, kind, scope))

        return self._read(work, 0)

    def _places_of(self, transaction: Transaction, kind: Kind, scope: Scope) -> list[bytes]:
        """Return the packed positions of the rows of a scope that have not ended."""
        gone = {*self._index.ended(transaction, kind)}
        indexes = self._index.of_scope(transaction, kind, scope)
        places = (key[-8:] for index in indexes for key in keys_of(transaction, index))
        return [at for at in places if at not in gone]

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        return self._read(
            lambda t: list(islice(self._index.living_users(t, kind, prefix, after), limit)), []
        )

    async def mark(self, kind: Kind, user_id: str | None) -> str:
        def work(transaction: Transaction) -> str:
            index = self._keys.user(kind, user_id)
            places = self._places_of(transaction, kind, Scope.of_user(user_id))
            stamps = [unpack(get(transaction, index + at)[:8]) for at in places]
            return f"{len(stamps)}:{sum(stamps)}"

        return self._read(work, "0:0")

    # --- deleting

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        def work(transaction: Transaction) -> bool:
            if if_version is not None:
                found = self._living(transaction, kind, user_id, id)
                _check_version(id, if_version, 0 if found is None else found.version)
            return self._remove(transaction, kind, Key(user_id, id))

        if not await self.exists():
            _check_version(id, if_version, 0)
        return self._change(work, False)

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        def work(transaction: Transaction) -> int:
            return sum(self._remove(transaction, kind, key) for key in keys)

        return self._change(work, 0)

    def _remove(self, transaction: Transaction, kind: Kind, key: Key) -> bool:
        gone = {*self._index.ended(transaction, kind)}
        was_alive = self._index.place(transaction, kind, *key) not in gone
        return self._index.remove(transaction, kind, *key) and was_alive

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        def work(transaction: Transaction) -> int:
            count = len(self._places_of(transaction, kind, scope))
            self._index.remove_all(transaction, kind, scope)
            return count

        return self._change(work, 0)

    # --- the end of rows

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        def work(transaction: Transaction) -> int:
            end, count = None if ttl is None else clock.utc_now() + ttl, 0
            for id in ids:
                at = self._index.place(transaction, kind, user_id, id)
                try:
                    if self._living(transaction, kind, user_id, id) is None:
                        continue
                except CorruptMemoryError:
                    continue  # Nothing is known of its end.
                (found,) = self._rows(transaction, kind, [at])
                if isinstance(found, Record):
                    new = found._replace(expires_at=end, stamp=new_stamp())
                    self._index.put(transaction, new, self._row(new))
                    count += 1
            return count

        return self._change(work, 0)

    async def sweep(self, kind: Kind, limit: int) -> int:
        return self._change(lambda t: self._index.sweep(t, kind, limit), 0)


def _named(row: Record | Corrupt | None, user_id: str | None, id: str) -> Record | Corrupt | None:
    """Return a row that was found by its name: one that is damaged may not tell it."""
    return row._replace(user_id=user_id, id=id) if isinstance(row, Corrupt) else row


def _check_version(id: str, expected: int | None, actual: int) -> None:
    if expected not in (None, actual):
        raise ConflictError(id, expected or 0, actual)


def _places(t: Transaction, index: bytes, newest_first: bool, after: int | None) -> Iterator[bytes]:
    """Yield the keys of an index that end with a position, in that order, from behind one."""
    if newest_first:
        return keys_backwards(t, index, index + (b"\xff" * 8 if after is None else pack(after)))
    return keys_of(t, index, index + pack((after or 0) + 1))
