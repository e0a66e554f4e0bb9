"""Where MariaDB's upsert is another: it has no WHERE, so that it returns also a row it refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from buddy.memory.errors import ConflictError
from buddy.memory.storage.record import Record, Write
from buddy.memory.storage.sql import SqlStore
from buddy.memory.storage.sql.statements import Statements, compiled
from buddy.memory.storage.sql.writes import NewRow, Stored

PACKET = 4_000_000
"""Characters of payloads in one statement: ``max_allowed_packet`` is 16 MiB by default."""


class MariaDbStatements(Statements):
    """The statements that differ."""

    def _or_update(self, insert: Any) -> Any:
        # Another owner's row is set to what it is. Assigned from left to right, each of them seeing
        # the last ones, so that the time is the last.
        c, new = self._c, insert.inserted
        ours = c.user_id.is_not_distinct_from(new.user_id)
        later = sa.func.greatest(sa.bindparam("p_now"), c.updated_at + _MICROSECOND)
        changed = {**self._changed(new[self._payload.name]), "updated_at": later}
        changed["updated_at"] = changed.pop("updated_at")
        return insert.on_duplicate_key_update(
            [(name, sa.func.if_(ours, value, c[name])) for name, value in changed.items()]
        ).returning(*self._stored(), c.user_id)

    @compiled
    def locked(self) -> Any:
        """Owner and version of the row with p_id, which nobody else changes from now on."""
        c = self._c
        return sa.select(c.user_id, c.version).where(*self._match(True, False)).with_for_update()


_MICROSECOND: Any = sa.text("INTERVAL 1 MICROSECOND")


class MariaDbStore(SqlStore):
    """Tables in a MariaDB database."""

    make_statements = MariaDbStatements

    async def put(self, write: Write) -> Record:
        (new,) = self._new_rows([write])
        alone = write.if_version is None

        def work(cursor: Any) -> Stored:
            if not alone:
                self._check_version(cursor, write)
            return self._put(cursor, write._replace(if_version=None), new)

        run = self._connector.run if alone else self._connector.transaction
        return self._stored(write, await self._write(run, work))

    def _check_version(self, cursor: Any, write: Write) -> None:
        id, owner, expected = write.record.id, write.record.user_id, write.if_version or 0
        statements = self._statements[write.record.kind]
        assert isinstance(statements, MariaDbStatements)
        statement = statements.locked()
        cursor.execute(statement.sql, statement.bind({"p_id": id}))
        user_id, version = cursor.fetchone() or (owner, 0)
        if user_id == owner and version != expected:
            raise ConflictError(id, expected, version)

    def _put(self, cursor: Any, write: Write, new: NewRow) -> Stored:
        row: Any = super()._put(cursor, write, new)
        if row[-1] != write.record.user_id:
            self._refused(cursor, write, None)
        stored: Stored = row[:-1]
        return stored

    def _put_rows(self, cursor: Any, first: Write, new: list[NewRow]) -> Iterator[Stored]:
        owners = {row[0]: row[1] for row in new}
        for part in _parts(new):
            row: Any
            for row in super()._put_rows(cursor, first, part):
                if row[-1] == owners[row[0]]:
                    yield row[:-1]


def _parts(rows: list[NewRow]) -> Iterator[list[NewRow]]:
    """Yield the rows in their order, as many at a time as one packet carries."""
    start = size = 0
    for end, row in enumerate(rows):
        size += len(row[2])
        if end > start and size > PACKET:
            yield rows[start:end]
            start, size = end, len(row[2])
    yield rows[start:]
