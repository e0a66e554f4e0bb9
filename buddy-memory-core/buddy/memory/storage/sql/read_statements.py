"""The statements that read one table."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa

from buddy.memory.storage.record import Reach, Scope
from buddy.memory.storage.sql.statement import StatementsBase, compiled, parameter
from buddy.memory.storage.users import encode_user, prefix_range


class Where(Enum):
    """The conditions of a Scope: on nothing, on p_user_id, from p_low, or from p_low to p_high."""

    EVERYBODY = "everybody"
    USER = "user"
    FROM = "from"
    RANGE = "range"

    @property
    def is_range(self) -> bool:
        """Whether rows of several users are meant, but not of all."""
        return self in (Where.FROM, Where.RANGE)


def where_of(scope: Scope) -> tuple[Where, dict[str, Any]]:
    """Return the conditions of a scope, and the values of their parameters."""
    if scope.reach is Reach.EVERYBODY:
        return Where.EVERYBODY, {}
    if scope.reach is Reach.USER:
        return Where.USER, {"p_user_id": encode_user(scope.name)}
    low, high = prefix_range(scope.name or "")
    if high is None:
        return Where.FROM, {"p_low": low}
    return Where.RANGE, {"p_low": low, "p_high": high}


KEY = ("p_id", "p_user_id")
"""The parameters of one key of ``get_many``."""

ID = ("p_id",)
"""The parameter of one id of ``find``."""


class ReadStatements(StatementsBase):
    """What reads. Rows come back as seq, id, user_id, payload, created_at, updated_at, version,
    expires_at, vector, stamp."""

    def stamp(self) -> Any:
        """Return how the stamp of a row is selected."""
        return self._c.stamp

    def _row(self, damaged: bool = False) -> list[Any]:
        c = self._c
        select = self._dialect.as_read_damaged if damaged else self._dialect.as_read
        texts = (c.id, c.user_id, self._payload, c.created_at, c.updated_at)
        others = (c.version, c.vector, self.stamp())
        if damaged:
            others = tuple(map(self._dialect.as_read_unless_text, others))
        version, vector, stamp = others
        return [c.seq, *map(select, texts), version, select(c.expires_at), vector, stamp]

    # --- one row, or rows by their keys

    @compiled
    def get(self, damaged: bool = False) -> Any:
        """Parameters: p_id, p_user_id."""
        return sa.select(*self._row(damaged)).where(*self._is_key(), self._lives())

    @compiled
    def has(self) -> Any:
        """As ``get``, with as little of the row as proves it."""
        # Columns that earlier layouts lack, and that only a table of this kind has.
        is_ours = self._payload.is_not(None)
        return sa.select(self._c.expires_at).where(*self._is_key(), is_ours, self._lives())

    @compiled
    def state(self) -> Any:
        """Version and time of the row with p_id and p_user_id, and whether it has ended."""
        updated_at = self._dialect.as_read(self._c.updated_at)
        state = (self._c.version, updated_at, self._has_ended())
        return sa.select(*state).where(*self._is_key())

    @compiled
    def get_many(self, damaged: bool = False) -> Any:
        """Parameters: those of KEY, to be repeated."""
        return self._with_keys(_values("wanted", KEY), damaged)

    @compiled
    def find_one(self, damaged: bool = False) -> Any:
        """The rows of two users with p_id."""
        is_found = (self._c.id == parameter("p_id"), self._lives())
        return sa.select(*self._row(damaged)).where(*is_found).limit(2)

    @compiled
    def find(self, damaged: bool = False) -> Any:
        """Of the rows with each id those of its first and its last user. Parameters: those of ID,
        to be repeated."""
        wanted, other = _values("wanted", ID), self._table.alias("other").c

        def ends(end: Any) -> Any:
            is_found = (other.id == wanted.c.id, self._lives(other))
            user = sa.select(end(other.user_id)).where(*is_found)
            return sa.select(wanted.c.id, user.scalar_subquery().label("user_id"))

        found = sa.union(ends(sa.func.min), ends(sa.func.max)).cte("found")
        return self._with_keys(found, damaged)

    def _with_keys(self, keys: sa.CTE, damaged: bool) -> Any:
        # Not as a condition with IN, for which SQLite would scan the table.
        c = self._c
        is_one = sa.and_(c.id == keys.c.id, c.user_id == keys.c.user_id, self._lives())
        return sa.select(*self._row(damaged)).select_from(keys.join(self._table, is_one))

    # --- the rows of a scope

    @compiled
    def page(
        self, where: Where, newest_first: bool, after: bool, limit: bool, damaged: bool = False
    ) -> Any:
        """Parameters: those of ``where``, p_after and p_limit, as asked for."""
        seq = self._c.seq
        conditions = self._in_scope(where)
        if after:
            behind = parameter("p_after")
            conditions.append(seq < behind if newest_first else seq > behind)

        def ordered(query: Any, position: Any) -> Any:
            query = query.order_by(position.desc() if newest_first else position.asc())
            return query.limit(parameter("p_limit")) if limit else query

        if not where.is_range:
            return ordered(sa.select(*self._row(damaged)).where(*conditions, self._lives()), seq)
        # The users' part of the index (user_id, seq) is read and sorted: an expression keeps the
        # planner from walking the table in its order, past the rows of all other users. Rows that
        # have ended are in an index of their own: no row is read to find out.
        ended = sa.select(seq).where(*self._in_scope(where), self._has_ended())
        conditions.append(seq.not_in(ended))
        chosen = ordered(sa.select(seq).where(*conditions), seq + sa.literal_column("0"))
        is_chosen = self._is_among(seq, sa.select(chosen.cte("chosen").c.seq))
        order = seq.desc() if newest_first else seq.asc()
        return sa.select(*self._row(damaged)).where(is_chosen).order_by(order)

    @compiled
    def count(self, where: Where) -> Any:
        """Parameters: those of ``where``."""
        # As a difference: whether a row lives is in no index, and few rows have an end.
        count = sa.select(sa.func.count(sa.literal_column("*"))).select_from(self._table)
        count = count.where(*self._in_scope(where))
        return sa.select(count.scalar_subquery() - count.where(self._has_ended()).scalar_subquery())

    @compiled
    def last(self, where: Where) -> Any:
        """Place of the newest row of a scope, whether it lives or not. Parameters: those of
        ``where``."""
        return sa.select(sa.func.max(self._c.seq)).where(*self._in_scope(where))

    @compiled
    def any_ended(self) -> Any:
        """A row if there are any that have ended."""
        return sa.select(sa.literal_column("1")).where(sa.exists().where(self._has_ended()))

    @compiled
    def ended(self) -> Any:
        """Number of the rows that have ended, and the first end among them."""
        end: Any = sa.func.min(self._c.expires_at)
        count, end = sa.func.count(sa.literal_column("*")), self._dialect.as_read(end)
        return sa.select(count, end).select_from(self._table).where(self._has_ended())

    @compiled
    def users(self, inclusive: bool, bounded: bool, limit: bool, damaged: bool = False) -> Any:
        """Users from p_low (or behind it) to p_high, in order, p_limit of them: each is found by
        one step in the index (a skip scan)."""
        user, low = self._c.user_id, parameter("p_low")
        below = [user < parameter("p_high")] if bounded else []
        below.append(self._lives())
        first = sa.select(sa.func.min(user).label("user_id"))
        first = first.where(user >= low if inclusive else user > low, *below)
        found = first.cte("found", recursive=True)
        following = sa.select(sa.func.min(user)).where(user > found.c.user_id, *below)
        steps = sa.select(following.correlate(found).scalar_subquery()).select_from(found)
        found = found.union_all(steps.where(found.c.user_id.is_not(None)))
        select = self._dialect.as_read_damaged if damaged else self._dialect.as_read
        shown: Any = found.c.user_id
        query = sa.select(select(shown)).where(shown.is_not(None))
        return query.limit(parameter("p_limit")) if limit else query

    @compiled
    def mark(self) -> Any:
        """Number of the rows of p_user_id and sum of their stamps."""
        count = sa.func.count(sa.literal_column("*"))
        query = sa.select(count, sa.func.sum(self.stamp())).select_from(self._table)
        return query.where(*self._in_scope(Where.USER), self._lives())

    @compiled
    def stamps(self) -> Any:
        """Id and stamp of the rows of p_user_id, in the order of first writing."""
        query = sa.select(self._c.id, self.stamp()).select_from(self._table)
        return query.where(*self._in_scope(Where.USER), self._lives()).order_by(self._c.seq)

    @compiled
    def layout(self) -> Any:
        """No row; fails where columns are missing."""
        c = self._c
        return sa.select(c.seq, self._payload, c.expires_at, c.vector).where(sa.false())

    # --- conditions

    def _is_among(self, column: Any, values: Any) -> Any:
        """Return the condition that a column has one of the few values that a query gives."""
        return column.in_(values)

    def _is_key(self) -> list[Any]:
        return [self._c.id == parameter("p_id"), self._c.user_id == parameter("p_user_id")]

    def _lives(self, columns: Any = None) -> Any:
        """Return the condition that a row has not ended (rule R14)."""
        end = (self._c if columns is None else columns).expires_at
        return sa.or_(end.is_(None), end > self._dialect.clock())

    def _has_ended(self) -> Any:
        return self._c.expires_at <= self._dialect.clock()

    def _in_scope(self, where: Where) -> list[Any]:
        user = self._c.user_id
        if where is Where.USER:
            return [user == parameter("p_user_id")]
        conditions = [user >= parameter("p_low")] if where.is_range else []
        return [*conditions, user < parameter("p_high")] if where is Where.RANGE else conditions


def _values(name: str, group: Sequence[str]) -> sa.CTE:
    """Return a table of the parameters of ``group``, to be repeated."""
    marks = ", ".join(f":{parameter}" for parameter in group)
    columns: list[Any] = [sa.column(parameter.removeprefix("p_")) for parameter in group]
    # Of the kinds of CTE the recursive one names its columns.
    return sa.text(f"VALUES ({marks})").columns(*columns).cte(name, recursive=True)
