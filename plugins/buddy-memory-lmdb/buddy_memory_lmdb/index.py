"""What leads from ids and users to rows, kept with them in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, islice, takewhile

from lmdb import Transaction

from buddy.memory.storage import clock
from buddy.memory.storage.record import Kind, Reach, Record, Scope
from buddy_memory_lmdb.client import get, keys_of
from buddy_memory_lmdb.encoding import decode, head
from buddy_memory_lmdb.schema import DIGEST_BYTES, Keys, pack, unpack


class Index:
    """The keys of one store, kept and followed."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def place(self, transaction: Transaction, kind: Kind, user_id: str | None, id: str) -> bytes:
        """Return the packed position of a row, b"" when there is none."""
        return get(transaction, self._keys.id(kind, user_id, id))

    def put(self, transaction: Transaction, record: Record, row: bytes) -> None:
        """Store a row, and lead its id and its user there."""
        kind, (user_id, id), at = record.kind, record.key, pack(record.position)
        id_key = self._keys.id(kind, user_id, id)
        self._forget_end(transaction, kind, at)
        if record.expires_at is not None:
            transaction.put(self._keys.end(kind, record.expires_at, at), b"")
        transaction.put(self._keys.rows(kind) + at, row)
        transaction.put(id_key, at)
        transaction.put(self._keys.user(kind, user_id) + at, pack(record.stamp or 0) + id_key)
        if user_id is not None:
            transaction.put(self._keys.name(kind, user_id), user_id.encode())

    def ended(self, transaction: Transaction, kind: Kind) -> list[bytes]:
        """Return the packed positions of the rows that have ended, the first ones first."""
        now = self._keys.end(kind, clock.utc_now(), b"\xff" * 8)
        keys = keys_of(transaction, self._keys.ends(kind))
        return [key[-8:] for key in takewhile(lambda key: key <= now, keys)]

    def _forget_end(self, transaction: Transaction, kind: Kind, at: bytes) -> None:
        if next(keys_of(transaction, self._keys.ends(kind)), None) is None:
            return  # As in most stores.
        try:
            end = head(kind, 0, get(transaction, self._keys.rows(kind) + at)).expires_at
        except (TypeError, ValueError):
            return  # There is none, or it cannot be read: the sweep removes its end.
        if end is not None:
            transaction.delete(self._keys.end(kind, end, at))

    def living_users(
        self, t: Transaction, kind: Kind, prefix: str, after: str | None
    ) -> Iterator[str]:
        """Yield those of ``users`` who have a row that has not ended."""
        gone = {*self.ended(t, kind)}
        for user in self.users(t, kind, prefix, after):
            if not gone or any(
                key[-8:] not in gone for key in keys_of(t, self._keys.user(kind, user))
            ):
                yield user

    def sweep(self, transaction: Transaction, kind: Kind, limit: int) -> int:
        """Remove up to ``limit`` rows that have ended; return how many these were."""
        doomed = self.ended(transaction, kind)[:limit]
        for at in doomed:
            row = decode(kind, unpack(at), get(transaction, self._keys.rows(kind) + at))
            self.remove(transaction, kind, row.user_id, row.id)
        ends = keys_of(transaction, self._keys.ends(kind))
        for key in list(islice(ends, len(doomed))):
            if key[-8:] in doomed:  # Of rows that could not be read.
                transaction.delete(key)
        return len(doomed)

    def users(self, t: Transaction, kind: Kind, prefix: str, after: str | None) -> Iterator[str]:
        """Yield the users who begin with ``prefix`` and come behind ``after``, in their order."""
        start = self._keys.names(kind, after or "")
        keys = keys_of(t, self._keys.names(kind, prefix), start)
        # Names that are alike as far as their keys go are put in order here.
        for _, alike in groupby(keys, lambda key: key[:-DIGEST_BYTES]):
            for user in sorted(get(t, key).decode() for key in alike):
                if user.startswith(prefix) and (after is None or user > after):
                    yield user

    def of_scope(self, transaction: Transaction, kind: Kind, scope: Scope) -> list[bytes]:
        """Return what the keys begin with that end with the positions of the scope's rows."""
        if scope.reach is Reach.EVERYBODY:
            return [self._keys.rows(kind)]
        if scope.reach is Reach.USER:
            return [self._keys.user(kind, scope.name)]
        users = self.users(transaction, kind, scope.name or "", None)
        return [self._keys.user(kind, user) for user in users]

    def remove(self, transaction: Transaction, kind: Kind, user_id: str | None, id: str) -> bool:
        """Remove one row, and what led there; tell whether there was one."""
        return self._remove(transaction, kind, user_id, self._keys.id(kind, user_id, id))

    def remove_all(self, transaction: Transaction, kind: Kind, scope: Scope) -> int:
        """Remove the rows of a scope; return how many there were."""
        if scope.reach is Reach.EVERYBODY:
            rows, keys = self._keys.rows(kind), [*keys_of(transaction, self._keys.kind(kind))]
            return sum(transaction.delete(key) and key.startswith(rows) for key in keys)
        if scope.reach is Reach.USER:
            return self._remove_user(transaction, kind, scope.name)
        users = list(self.users(transaction, kind, scope.name or "", None))
        return sum(self._remove_user(transaction, kind, user) for user in users)

    def _remove_user(self, t: Transaction, kind: Kind, user_id: str | None) -> int:
        ids = [get(t, key)[8:] for key in keys_of(t, self._keys.user(kind, user_id))]
        return sum(self._remove(t, kind, user_id, id_key) for id_key in ids)

    def _remove(self, t: Transaction, kind: Kind, user_id: str | None, id_key: bytes) -> bool:
        at, index = get(t, id_key), self._keys.user(kind, user_id)
        if not at:
            return False
        self._forget_end(t, kind, at)
        for key in (id_key, index + at, self._keys.rows(kind) + at):
            t.delete(key)
        if user_id is not None and next(keys_of(t, index), None) is None:
            t.delete(self._keys.name(kind, user_id))
        return True
