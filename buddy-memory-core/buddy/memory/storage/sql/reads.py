"""How SqlStore reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from buddy.memory.storage.record import Corrupt, Key, Kind, Record, Scope, check_stored
from buddy.memory.storage.sql.base import DamagedRow, SqlStoreBase
from buddy.memory.storage.sql.connector import Query
from buddy.memory.storage.sql.read_statements import ID, KEY, where_of
from buddy.memory.storage.store import Ended
from buddy.memory.storage.users import decode_user, encode_user, prefix_range

V = TypeVar("V")


class ReadingStore(SqlStoreBase):
    """The reads of a Store."""

    async def get(self, kind: Kind, user_id: str | None, id: str) -> Record | Corrupt | None:
        values = {"p_id": id, "p_user_id": encode_user(user_id)}

        def query(damaged: bool) -> Query:
            return self._statements[kind].get(damaged).query(values)

        rows = await self._read(query)
        return self._decode(kind, rows[0]) if rows else None

    async def has(self, kind: Kind, user_id: str | None, id: str) -> bool:
        query = self._statements[kind].has()
        found = await self._query(query.query({"p_id": id, "p_user_id": encode_user(user_id)}))
        return bool(found.rows)

    async def get_many(self, kind: Kind, keys: Sequence[Key]) -> list[Record | Corrupt | None]:
        found: dict[Key, Record | Corrupt] = {}
        for some in portions(keys, self._dialect.bulk_keys):
            # Padded with NULL, which no row has: a few lengths of the statement serve all.
            values: list[Any] = [(id, encode_user(user_id)) for user_id, id in some]
            values += [(None, None)] * (_rounded(len(some)) - len(some))

            def query(damaged: bool, values: list[Any] = values) -> Query:
                statements = self._statements[kind]
                many = statements.repeated(statements.get_many(damaged), KEY, len(values))
                return Query(many.sql, (*chain.from_iterable(values), *many.bind({})))

            for row in await self._read(query):
                record = self._decode(kind, row)
                found[record.key] = record
        return [found.get(key) for key in keys]

    async def find(self, kind: Kind, ids: Sequence[str]) -> list[Record | Corrupt]:
        found: list[Record | Corrupt] = []
        for some in portions(ids, self._dialect.bulk_keys):
            values = (*some, *[None] * (_rounded(len(some)) - len(some)))

            def query(damaged: bool, values: tuple[Any, ...] = values) -> Query:
                statements = self._statements[kind]
                if len(values) == 1:
                    return statements.find_one(damaged).query({"p_id": values[0]})
                many = statements.repeated(statements.find(damaged), ID, len(values))
                return Query(many.sql, (*values, *many.bind({})))

            found += [self._decode(kind, row) for row in await self._read(query)]
        return found

    async def page(
        self,
        kind: Kind,
        scope: Scope,
        *,
        newest_first: bool,
        after: Any,
        limit: int | None,
    ) -> list[Record | Corrupt]:
        where, values = where_of(scope)
        flags = (where, newest_first, after is not None, limit is not None)
        values |= {"p_after": after, "p_limit": limit}

        def query(damaged: bool) -> Query:
            return self._statements[kind].page(*flags, damaged).query(values)

        return [self._decode(kind, row) for row in await self._read(query)]

    async def count(self, kind: Kind, scope: Scope) -> int:
        await self._check_layout(kind)
        where, values = where_of(scope)
        found = await self._query(self._statements[kind].count(where).query(values))
        return int(found.rows[0][0]) if found.rows else 0

    async def users(
        self, kind: Kind, *, prefix: str, after: str | None, limit: int | None
    ) -> list[str]:
        await self._check_layout(kind)
        low, high = prefix_range(prefix)
        behind = None if after is None else encode_user(after)
        inclusive = behind is None or behind < low
        flags = (inclusive, high is not None, limit is not None)
        start = low if behind is None or inclusive else behind
        values = {"p_low": start, "p_high": high, "p_limit": limit}

        def query(damaged: bool) -> Query:
            return self._statements[kind].users(*flags, damaged).query(values)

        texts = [_text(row[0]) for row in await self._read(query)]
        return [user for user in map(decode_user, texts) if user is not None]

    async def mark(self, kind: Kind, user_id: str | None) -> str | None:
        await self._check_layout(kind)
        query = self._statements[kind].mark().query({"p_user_id": encode_user(user_id)})
        try:
            rows = (await self._query(query)).rows or [(0, None)]
        except DamagedRow:
            return None
        count, total = rows[0]
        # A stamp that was edited by hand may make the sum one that tells of no small change.
        return None if isinstance(total, float) else f"{count}:{total or 0}"

    async def stamps(self, kind: Kind, user_id: str | None) -> list[tuple[str, int | None]]:
        await self._check_layout(kind)
        query = self._statements[kind].stamps().query({"p_user_id": encode_user(user_id)})
        try:
            rows = (await self._query(query)).rows
            return [(id if type(id) is str else _text(id), stamp) for id, stamp in rows]
        except DamagedRow:
            return await super().stamps(kind, user_id)

    async def ended(self, kind: Kind) -> Ended:
        await self._check_layout(kind)
        rows = (await self._query(self._statements[kind].ended().query({}))).rows
        count, end = rows[0] if rows else (0, None)
        return Ended(count, None if end is None else self._dialect.load_time(end))

    async def generation(self, kind: Kind) -> str:
        rows = (await self._query(self._dialect.generation(self._tables.by_kind[kind]))).rows
        return str(rows[0][0]) if rows else ""

    def _decode(self, kind: Kind, row: Any) -> Record | Corrupt:
        seq, id, user, payload, created_at, updated_at, version, expires_at, vector, stamp = row
        dialect = self._dialect
        try:
            if isinstance(id, bytes):
                texts = (id, user, created_at, updated_at, expires_at)
                id, user, created_at, updated_at, expires_at = map(_strictly_text, texts)
            if not (type(id) is type(user) is str and type(version) is type(stamp) is int):
                raise TypeError("id, user_id, version or stamp has the wrong type")
            if not (vector is None or isinstance(vector, bytes)):
                raise TypeError("the vector has the wrong type")
            check_stored(id, version)
            created = dialect.load_time(created_at)
            updated = created if updated_at == created_at else dialect.load_time(updated_at)
            end = None if expires_at is None else dialect.load_time(expires_at)
            user_id = decode_user(user)
            content = dialect.load(payload)
            return Record(
                kind, user_id, id, content, created, updated, version, end, vector, stamp, seq
            )
        except (TypeError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}"
            return Corrupt(decode_user(_text(user)), _text(id), seq, reason)


def portions(items: Sequence[V], size: int) -> Iterator[Sequence[V]]:
    """Yield the items in their order, ``size`` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _rounded(count: int) -> int:
    """Return the power of two that is no less."""
    return 1 << (count - 1).bit_length()


def _strictly_text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _text(value: Any) -> str:
    """Return a name as text, whatever stands in its column."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
