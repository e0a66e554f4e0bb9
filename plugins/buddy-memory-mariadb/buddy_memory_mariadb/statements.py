"""The statements that differ: MariaDB's upsert has no WHERE, and its UPDATE no RETURNING."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from buddy.memory.storage.sql.statement import compiled, parameter
from buddy.memory.storage.sql.statements import Shape, Statements

_MICROSECOND: Any = sa.text("INTERVAL 1 MICROSECOND")


def _as_bytes(text: Any) -> Any:
    return sa.cast(text, sa.BINARY)


class MariaDbStatements(Statements):
    """All statements of one table."""

    def _or_update(self, insert: Any, shape: Shape) -> Any:
        # Assigned from left to right, each of them seeing the last ones. A row that has ended was
        # removed before.
        changed = self._changed(insert.inserted, shape)
        later = self._c.updated_at + _MICROSECOND
        changed["updated_at"] = sa.func.greatest(parameter("p_now"), later)
        return insert.on_duplicate_key_update([*changed.items()]).returning(*self._returned(shape))

    def _returned(self, shape: Shape) -> list[Any]:
        id, user_id, *rest = super()._returned(shape)
        return [self._dialect.as_read(id), self._dialect.as_read(user_id), *rest]

    def _with_keys(self, keys: sa.CTE, damaged: bool) -> Any:
        # By the unique index, one row for each key, which MariaDB does not see in the id alone: it
        # would read all rows of the user for each.
        c, digest = self._c, sa.func.unhex(sa.func.sha2(keys.c.id, sa.literal_column("256")))
        named = [c.id_digest == digest, c.user_id == _as_bytes(keys.c.user_id)]
        named.append(c.id == _as_bytes(keys.c.id))
        found = sa.select(*self._row(damaged)).prefix_with("STRAIGHT_JOIN")
        return found.select_from(keys.join(self._table, sa.and_(*named, self._lives())))

    @compiled
    def locked_version(self) -> Any:
        """Version of the row with p_id and p_user_id, which nothing else changes from now on."""
        is_found = (*self._is_key(), self._lives())
        return sa.select(self._c.version).where(*is_found).with_for_update()

    @compiled
    def users(self, inclusive: bool, bounded: bool, limit: bool, damaged: bool = False) -> Any:
        # MariaDB steps through the index by itself ("Using index for group-by").
        user, low = self._c.user_id, parameter("p_low")
        conditions = [user >= low if inclusive else user > low, self._lives()]
        if bounded:
            conditions.append(user < parameter("p_high"))
        names = sa.select(user).distinct().where(*conditions).order_by(user)
        names = names.limit(parameter("p_limit")) if limit else names
        found: Any = names.subquery("names").c.user_id
        return sa.select(self._dialect.as_read(found)).order_by(found)
