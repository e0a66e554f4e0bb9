"""Row-level security by user: the server itself keeps a call to the rows of its user.

Each call runs in a transaction of its own that first says whose it is, by a setting that ends with
the transaction. Nothing of it is state of a session, so poolers in front of the server do no harm.
Calls across users need a role that bypasses the policies.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.errors import AccessError
from buddy.memory.storage.record import Corrupt, Key, Kind, Reach, Record, Scope, Write
from buddy.memory.storage.sql import Connector, Query, Result
from buddy.memory.storage.sql.connector import Work, execute
from buddy.memory.storage.store import Ended
from buddy.memory.storage.users import encode_user
from buddy_memory_postgres.schema import quoted
from buddy_memory_postgres.store import PostgresStore

T = TypeVar("T")

SETTING = "buddy.user"
POLICY = "buddy_user"

# A mark in front: after a transaction that has set it, the setting is empty and not gone, and the
# empty text in the tables is nobody.
_MARK = "="
CONDITION = f"user_id = substring(current_setting('{SETTING}', true) FROM '^{_MARK}(.*)$')"

_EVERYBODY = object()
_whose: ContextVar[Any] = ContextVar("buddy_memory_postgres_whose", default=None)
"""Whose rows the call is about: an encoded user, _EVERYBODY, or None for no rows at all."""


@contextmanager
def _calling(whose: Any) -> Generator[None]:
    token = _whose.set(whose)
    try:
        yield
    finally:
        _whose.reset(token)


def policy_script(table: sa.Table) -> list[str]:
    """Return the statements that put a table under the policy."""
    name = quoted(table)
    return [
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS {POLICY} ON {name}",
        f"CREATE POLICY {POLICY} ON {name} USING ({CONDITION}) WITH CHECK ({CONDITION})",
    ]


class RowSecurityConnector(Connector):
    """Runs the work of each call as its user, over another connector."""

    def __init__(self, inner: Connector, table: str) -> None:
        self._inner, self._table = inner, table
        self._bypasses = False

    async def read(self, query: Query) -> Result:
        return await self.run(lambda cursor: execute(cursor, query))

    async def write(self, query: Query) -> Result:
        return await self.run(lambda cursor: execute(cursor, query))

    async def run(self, work: Work[T]) -> T:
        whose = _whose.get()
        if whose is None or (whose is _EVERYBODY and self._bypasses):
            return await self._inner.run(work)
        return await self.transaction(work)

    async def transaction(self, work: Work[T]) -> T:
        whose = _whose.get()

        def as_user(cursor: Any) -> T:
            if whose is _EVERYBODY:
                self._demand_bypass(cursor)
            elif whose is not None:
                cursor.execute("SELECT set_config(%s, %s, true)", (SETTING, _MARK + whose))
            return work(cursor)

        return await self._inner.transaction(as_user)

    def _demand_bypass(self, cursor: Any) -> None:
        """Raise AccessError where the policies hold for this role: it would see nothing."""
        if self._bypasses:
            return
        cursor.execute("SELECT row_security_active(%s::regclass)", (self._table,))
        if cursor.fetchone()[0]:
            raise AccessError(
                "This role sees the rows of one user at a time (row-level security): pass "
                "user_id=, or use a role that bypasses it (BYPASSRLS)."
            )
        self._bypasses = True

    async def inspect(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._inner.inspect(work)

    async def define(self, work: Callable[[sa.Connection], T]) -> T:
        return await self._inner.define(work)

    async def close(self) -> None:
        await self._inner.close()


class RowSecurityStore(PostgresStore):
    """A PostgresStore that tells the server in each call whose rows it is about."""

    def __init__(
        self, connector: Connector, engine_dialect: Dialect, table_name: str, schema: str | None
    ) -> None:
        super().__init__(connector, engine_dialect, table_name, schema)
        table = quoted(self._tables.by_kind[Kind.MEMORY])
        self._connector = RowSecurityConnector(connector, table)

    async def put(self, write: Write) -> Record:
        with _calling(_user_of([write.record.key])):
            return await super().put(write)

    async def put_many(self, writes: Sequence[Write]) -> list[Record]:
        with _calling(_user_of([write.record.key for write in writes])):
            return await super().put_many(writes)

    async def restore(self, writes: Sequence[Write]) -> list[Key]:
        with _calling(_user_of([write.record.key for write in writes])):
            return await super().restore(writes)

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
        with _calling(encode_user(user_id)):
            how = {"payload": payload, "vector": vector}
            return await super().rewrite(kind, user_id, id, if_stamp, **how)  # type: ignore[arg-type]

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        with _calling(encode_user(user_id)):
            return await super().touch(kind, user_id, ids, ttl)

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        with _calling(encode_user(user_id)):
            return await super().get(kind, user_id, id)

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        with _calling(_user_of(keys)):
            return await super().get_many(kind, keys)

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        with _calling(encode_user(user_id)):
            return await super().has(kind, user_id, id)

    async def delete(
        self, kind: Kind, user_id: str | None, id: str, if_version: int | None
    ) -> bool:
        with _calling(encode_user(user_id)):
            return await super().delete(kind, user_id, id, if_version)

    async def delete_many(self, kind: Kind, keys: Sequence[Key]) -> int:
        with _calling(_user_of(keys)):
            return await super().delete_many(kind, keys)

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        with _calling(encode_user(user_id)):
            return await super().mark(kind, user_id)

    async def stamps(self, kind: Kind, user_id: str | None) -> list[tuple[str, int | None]]:
        with _calling(encode_user(user_id)):
            return await super().stamps(kind, user_id)

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        with _calling(_user_in(scope)):
            return await super().page(
                kind, scope, newest_first=newest_first, after=after, limit=limit
            )

    async def count(self, kind: Kind, scope: Scope) -> int:
        with _calling(_user_in(scope)):
            return await super().count(kind, scope)

    async def delete_all(self, kind: Kind, scope: Scope) -> int:
        with _calling(_user_in(scope)):
            return await super().delete_all(kind, scope)

    # --- across users

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        with _calling(_EVERYBODY):
            return await super().find(kind, ids)

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        with _calling(_EVERYBODY):
            return await super().users(kind, prefix=prefix, after=after, limit=limit)

    async def sweep(self, kind: Kind, limit: int) -> int:
        with _calling(_EVERYBODY):
            return await super().sweep(kind, limit)

    async def ended(self, kind: Kind) -> Ended:
        with _calling(_EVERYBODY):
            return await super().ended(kind)


def _user_in(scope: Scope) -> Any:
    return encode_user(scope.name) if scope.reach is Reach.USER else _EVERYBODY


def _user_of(keys: Sequence[Key]) -> Any:
    """Return the one user of all keys, or _EVERYBODY."""
    users = {key.user_id for key in keys}
    return encode_user(users.pop()) if len(users) == 1 else _EVERYBODY
