"""Rows that have ended (rule R14), in SqlStore: touched, looked for and removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from buddy.memory.storage.record import Kind, new_stamp
from buddy.memory.storage.sql.base import SqlStoreBase
from buddy.memory.storage.sql.connector import EMPTY, Query, execute
from buddy.memory.storage.sql.read_statements import Where
from buddy.memory.storage.sql.statements import NewRow
from buddy.memory.storage.users import encode_user

SWEPT = 10
"""Rows of a user that have ended and that a write of a row with an end removes, at most."""


class EndedRows(Exception):
    """Rows that a bulk write is to write have ended, and have to be removed before."""


class EndingStore(SqlStoreBase):
    """The primitives about ends, and what a write does about rows that have ended."""

    async def touch(
        self, kind: Kind, user_id: str | None, ids: Sequence[str], ttl: timedelta | None
    ) -> int:
        await self._check_layout(kind)
        statement = self._statements[kind].touch(ttl is not None)
        end, user = None if ttl is None else self._dialect.dump_ttl(ttl), encode_user(user_id)
        rows = [
            statement.bind(
                {"p_id": id, "p_user_id": user, "p_expires_at": end, "p_stamp": new_stamp()}
            )
            for id in sorted(ids)  # In one order, so that two calls do not block each other.
        ]

        def work(cursor: Any) -> int:
            cursor.executemany(statement.sql, rows)
            return int(cursor.rowcount)

        return await self._unless_missing(self._connector.transaction, work, 0)

    async def sweep(self, kind: Kind, limit: int) -> int:
        await self._check_layout(kind)
        query = self._statements[kind].sweep(Where.EVERYBODY).query({"p_limit": limit})
        return (await self._unless_missing(self._connector.write, query, EMPTY)).affected

    # --- before and after writes

    def _sweep_user(self, kind: Kind, row: NewRow) -> Query:
        """Return the statement that removes some of the rows of a user that have ended."""
        return (
            self._statements[kind].sweep(Where.USER).query({"p_user_id": row[1], "p_limit": SWEPT})
        )

    def _make_room(self, cursor: Any, kind: Kind, new: list[NewRow]) -> None:
        """Remove the rows that have ended and are to be written, and some others of their users:
        those that take their places are new ones, in the order of the call."""
        statements = self._statements[kind]
        if not execute(cursor, statements.any_ended().query({})).rows:
            return
        delete = statements.delete_ended()
        keys = [delete.bind({"p_id": row[0], "p_user_id": row[1]}) for row in new]
        cursor.executemany(delete.sql, keys)
        for row in {row[1]: row for row in new[:SWEPT]}.values():
            execute(cursor, self._sweep_user(kind, row))

    def _demand_living(self, cursor: Any, kind: Kind, rows: Sequence[NewRow]) -> None:
        """Raise EndedRows where one of the rows is stored and has ended."""
        state = self._statements[kind].state()
        for row in rows:
            found = execute(cursor, state.query({"p_id": row[0], "p_user_id": row[1]})).rows
            if found and found[0][2]:
                raise EndedRows
