"""What leads from ids and users to rows, kept with them in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from lmdb import Transaction

from buddy.memory.storage.record import Kind, Reach, Record, Scope
from buddy_memory_lmdb.client import get, keys_of
from buddy_memory_lmdb.schema import DIGEST_BYTES, Keys, pack


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
        transaction.put(self._keys.rows(kind) + at, row)
        transaction.put(id_key, at)
        transaction.put(self._keys.user(kind, user_id) + at, pack(record.stamp or 0) + id_key)
        if user_id is not None:
            transaction.put(self._keys.name(kind, user_id), user_id.encode())

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
        for key in (id_key, index + at, self._keys.rows(kind) + at):
            t.delete(key)
        if user_id is not None and next(keys_of(t, index), None) is None:
            t.delete(self._keys.name(kind, user_id))
        return True
