"""The statements of one table, compiled once by SQLAlchemy and then run on the driver's cursor.

Building, compiling and running a construct anew costs more than a local query itself. Compiled
once, a statement is a string and the order of its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.storage.record import Kind
from buddy.memory.storage.sql.connect import Query
from buddy.memory.storage.sql.dialect import SqlDialect

P = ParamSpec("P")
S = TypeVar("S", bound="Statements")


class Statement:
    """SQL text for a driver, with the names of its parameters in order."""

    def __init__(self, construct: Any, engine_dialect: Dialect) -> None:
        compiled = construct.compile(dialect=engine_dialect)
        self.sql: str = str(compiled)
        self.names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self.returns = not isinstance(construct, sa.Delete)
        # Some engines write more into a statement than was asked for: SQLite's OFFSET 0.
        self.constants = {k: v for k, v in compiled.params.items() if not k.startswith("p_")}

    def bind(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the parameters for one execution."""
        if self.constants:
            values = {**self.constants, **values}
        return tuple([values[name] for name in self.names])

    def query(self, values: Mapping[str, Any]) -> Query:
        """Return one execution."""
        return Query(self.sql, self.bind(values), self.returns)


def compiled(
    build: Callable[Concatenate[S, P], Any],
) -> Callable[Concatenate[S, P], Statement]:
    """Make a method that builds a construct return its Statement, compiled at the first call."""

    def statement(self: S, /, *args: P.args, **kwargs: P.kwargs) -> Statement:
        key = (build.__name__, *args, *kwargs.items())
        found = self.ready.get(key)
        if found is None:
            found = self.ready[key] = self.compile(build(self, *args, **kwargs))
        return found

    return update_wrapper(statement, build)


def parameter(name: str) -> sa.BindParameter[Any]:
    """Return a parameter that is passed to the driver as it is."""
    return sa.bindparam(name, type_=sa.types.NullType())


class Statements:
    """All statements of one table. Rows come back as seq, id, user_id, payload, created_at,
    updated_at, version."""

    def __init__(
        self, kind: Kind, table: sa.Table, dialect: SqlDialect, engine_dialect: Dialect
    ) -> None:
        self._table, self._c, self._payload = table, table.c, table.c[kind.value]
        self._dialect = dialect
        self._engine_dialect = _positional(engine_dialect)
        self.ready: dict[Any, Statement] = {}

    def compile(self, construct: Any) -> Statement:
        """Return the construct as a Statement for this engine."""
        return Statement(construct, self._engine_dialect)

    # --- reading

    def _row(self, damaged: bool = False) -> list[Any]:
        c = self._c
        select = self._dialect.as_read_damaged if damaged else self._dialect.as_read
        columns = (c.id, c.user_id, self._payload, c.created_at, c.updated_at)
        return [c.seq, *map(select, columns), c.version]

    @compiled
    def get(self, by_user: bool, damaged: bool = False) -> Any:
        """Parameters: p_id, p_user_id when ``by_user``."""
        return sa.select(*self._row(damaged)).where(*self._match(True, by_user))

    @compiled
    def has(self, by_user: bool) -> Any:
        return (
            sa.select(sa.literal_column("1"))
            .select_from(self._table)
            .where(*self._match(True, by_user))
        )

    @compiled
    def state(self, by_user: bool) -> Any:
        """Owner, version and time of the row with p_id, of p_user_id when ``by_user``."""
        c = self._c
        return sa.select(c.user_id, c.version, c.updated_at).where(*self._match(True, by_user))

    @compiled
    def page(
        self, by_user: bool, newest_first: bool, after: bool, limit: bool, damaged: bool = False
    ) -> Any:
        """Parameters: p_user_id, p_after and p_limit, as asked for."""
        seq = self._c.seq
        query = sa.select(*self._row(damaged)).where(*self._match(False, by_user))
        if after:
            query = query.where(
                seq < parameter("p_after") if newest_first else seq > parameter("p_after")
            )
        query = query.order_by(seq.desc() if newest_first else seq.asc())
        return query.limit(parameter("p_limit")) if limit else query

    @compiled
    def count(self, by_user: bool) -> Any:
        count = sa.func.count(sa.literal_column("*"))
        return sa.select(count).select_from(self._table).where(*self._match(False, by_user))

    # --- writing

    def _new(self) -> dict[str, Any]:
        return {
            "id": parameter("p_id"),
            "user_id": parameter("p_user_id"),
            self._payload.name: parameter("p_payload"),
            "created_at": parameter("p_created_at"),
            "updated_at": parameter("p_updated_at"),
        }

    def _changed(self, payload: Any) -> dict[str, Any]:
        return {
            self._payload.name: payload,
            "updated_at": parameter("p_now"),
            "version": self._c.version + sa.literal_column("1"),
        }

    def _may_change(self, owner: Any) -> list[Any]:
        # The owner never changes, and the time always moves: otherwise no row comes back.
        c = self._c
        return [c.user_id.is_not_distinct_from(owner), c.updated_at < parameter("p_now")]

    def _identity(self) -> list[Any]:
        return [self._c[name] for name in self._dialect.identity]

    def _stored(self) -> list[Any]:
        # The times of a row that is new are known here, and formatting them is work.
        c = self._c
        is_old = c.version > sa.literal_column("1")
        return [c.id, c.version, sa.case((is_old, c.created_at)), sa.case((is_old, c.updated_at))]

    @compiled
    def upsert(self) -> Any:
        """Insert or update p_id in one step; returns id, version, and the times if it was there."""
        return self._or_update(self._dialect.insert(self._table).values(self._new()))

    def _or_update(self, insert: Any) -> Any:
        return insert.on_conflict_do_update(
            index_elements=self._identity(),
            set_=self._changed(insert.excluded[self._payload.name]),
            where=sa.and_(*self._may_change(insert.excluded.user_id)),
        ).returning(*self._stored())

    @compiled
    def insert_only(self) -> Any:
        """Insert p_id unless there is such a row; returns what ``upsert`` returns."""
        insert = self._dialect.insert(self._table).values(self._new())
        insert = insert.on_conflict_do_nothing(index_elements=self._identity())
        return insert.returning(*self._stored())

    @compiled
    def update_version(self) -> Any:
        """Update p_id if it has p_if_version; returns what ``upsert`` returns."""
        return (
            sa.update(self._table)
            .where(self._c.id == parameter("p_id"), *self._may_change(parameter("p_user_id")))
            .where(self._c.version == parameter("p_if_version"))
            .values(self._changed(parameter("p_payload")))
            .returning(*self._stored())
        )

    @compiled
    def set_version(self, by_user: bool) -> Any:
        """Set the version of the row with p_id, of p_user_id when ``by_user``, to p_version."""
        query = sa.update(self._table).where(*self._match(True, by_user))
        return query.values(version=parameter("p_version"))

    def upsert_rows(self, count: int) -> Statement:
        """Return ``upsert`` for ``count`` rows: their parameters first, then the others."""
        found = self.ready.get(("upsert_rows", count))
        if found is None:
            found = self.ready["upsert_rows", count] = _repeat_values(self.upsert(), count)
        return found

    # --- deleting

    @compiled
    def delete(self, by_user: bool, by_version: bool = False) -> Any:
        """Parameters: p_id, p_user_id and p_if_version, as asked for."""
        query = sa.delete(self._table).where(*self._match(True, by_user))
        return query.where(self._c.version == parameter("p_if_version")) if by_version else query

    @compiled
    def delete_all(self, by_user: bool) -> Any:
        return sa.delete(self._table).where(*self._match(False, by_user))

    def _match(self, by_id: bool, by_user: bool) -> list[Any]:
        conditions: list[Any] = []
        if by_id:
            conditions.append(self._c.id == parameter("p_id"))
        if by_user:
            conditions.append(self._c.user_id == parameter("p_user_id"))
        return conditions or [sa.true()]


NEW_ROW = ("p_id", "p_user_id", "p_payload", "p_created_at", "p_updated_at")
"""The parameters of one row of ``upsert_rows``."""


def _repeat_values(single: Statement, count: int) -> Statement:
    mark = "?" if "?" in single.sql else "%s"
    group = "(" + ", ".join([mark] * len(NEW_ROW)) + ")"
    head, found, tail = single.sql.partition(f"VALUES {group}")
    assert found, single.sql
    assert single.names[: len(NEW_ROW)] == NEW_ROW, single.names
    repeated = Statement.__new__(Statement)
    repeated.sql = f"{head}VALUES {', '.join([group] * count)}{tail}"
    repeated.constants = single.constants
    repeated.returns = single.returns
    repeated.names = single.names[len(NEW_ROW) :]
    return repeated


def _positional(engine_dialect: Dialect) -> Dialect:
    """Return a dialect that compiles for the same driver with its parameters by position."""
    if engine_dialect.positional:
        return engine_dialect
    style = {"named": "qmark", "pyformat": "format"}[engine_dialect.paramstyle]
    return type(engine_dialect)(paramstyle=style)  # type: ignore[call-arg]
