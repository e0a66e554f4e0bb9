"""A MariaDB database as a Store: writes that depend on a version, and many rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import Kind, Record, Write
from buddy.memory.storage.sql import SqlStore
from buddy.memory.storage.sql.connector import EMPTY, execute
from buddy.memory.storage.sql.statements import NewRow
from buddy.memory.storage.sql.writes import Stored, StoredKey
from buddy.memory.storage.users import encode_user
from buddy_memory_mariadb.errors import MAX_KEY, key_too_long
from buddy_memory_mariadb.statements import MariaDbStatements

LIMIT = MAX_KEY // 4
"""Characters that are never more bytes than a key may have."""

PACKET = 4_000_000
"""Characters and bytes of rows in one statement, where the server takes four times as many."""


class MariaDbStore(SqlStore):
    """Tables in a MariaDB database."""

    make_statements = MariaDbStatements
    _statements: dict[Kind, MariaDbStatements]  # type: ignore[assignment]

    async def put(self, write: Write) -> Record:
        record = write.record
        if write.if_version is None:
            # As in ``_put_rows``.
            key = {"p_id": record.id, "p_user_id": encode_user(record.user_id)}
            query = self._statements[record.kind].delete_ended().query(key)
            await self._unless_missing(self._connector.write, query, EMPTY)
            return await super().put(write)
        (new,) = self._new_rows([write])

        def work(cursor: Any) -> Stored:
            self._check_version(cursor, write)
            self._make_room(cursor, record.kind, [new])
            return self._put(cursor, write._replace(if_version=None), new)

        return self._stored(write, await self._write(self._connector.transaction, work))

    def _new_rows(self, writes: Sequence[Write]) -> list[NewRow]:
        rows = super()._new_rows(writes)
        long = [name for row in rows for name in row[:2] if len(name) > LIMIT]
        if any(len(name.encode()) > MAX_KEY for name in long):
            raise key_too_long()
        return rows

    def _insert_rows(
        self, cursor: Any, writes: Sequence[Write], new: list[NewRow]
    ) -> set[StoredKey]:
        # Not INSERT IGNORE, which would ignore more than rows that are there.
        stored: set[StoredKey] = set()
        for write, row in zip(writes, new, strict=True):
            record = write.record
            query = self._statements[record.kind].locked_version()
            key = {"p_id": row[0], "p_user_id": row[1]}
            if not execute(cursor, query.query(key)).rows:
                self._put(cursor, write, row)
                stored.add(row[:2])
        return stored

    def _check_version(self, cursor: Any, write: Write) -> None:
        kind, user_id, id = write.record[:3]
        query = self._statements[kind].locked_version()
        rows = execute(cursor, query.query({"p_id": id, "p_user_id": encode_user(user_id)})).rows
        version = rows[0][0] if rows else 0
        if version != write.if_version:
            raise ConflictError(id, write.if_version or 0, version)

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> Iterator[Stored]:
        # The upsert has no condition by which it could leave a row alone that has ended.
        self._make_room(cursor, first.record.kind, new)
        for part in _packets(new, min(PACKET, cursor.connection.max_allowed_packet // 4)):
            yield from super()._put_rows(cursor, first, part)


def _packets(rows: Sequence[NewRow], most: int) -> Iterator[list[NewRow]]:
    """Yield the rows in their order, as many at a time as one packet carries."""
    packet: list[NewRow] = []
    filled = 0
    for row in rows:
        size = len(row[2]) + len(row[6] or b"")
        if packet and filled + size > most:
            yield packet
            packet, filled = [], 0
        packet.append(row)
        filled += size
    yield packet
