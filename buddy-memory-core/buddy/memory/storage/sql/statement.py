"""SQL statements compiled once by SQLAlchemy and then run on the driver's cursor.

Building, compiling and running a construct for each call costs more than a local query itself.
Compiled once, a statement is a string and the order of its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import Dialect

from buddy.memory.storage.record import Kind
from buddy.memory.storage.sql.connector import Query
from buddy.memory.storage.sql.dialect import SqlDialect

P = ParamSpec("P")
S = TypeVar("S", bound="StatementsBase")


class Statement:
    """SQL text for a driver, with the names of its parameters in order."""

    def __init__(self, construct: Any, engine_dialect: Dialect) -> None:
        compiled = construct.compile(dialect=engine_dialect)
        self.sql: str = str(compiled)
        self.names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self.returns = isinstance(construct, sa.SelectBase) or bool(
            construct.returning_column_descriptions
        )
        # Some dialects add parameters of their own: SQLite's OFFSET 0.
        self.constants = {k: v for k, v in compiled.params.items() if not k.startswith("p_")}

    def bind(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the parameters for one execution."""
        if self.constants:
            values = {**self.constants, **values}
        return tuple([values[name] for name in self.names])

    def query(self, values: Mapping[str, Any]) -> Query:
        """Return one execution."""
        return Query(self.sql, self.bind(values), self.returns)

    def repeated(self, group: Sequence[str], count: int) -> Statement:
        """Return the statement with ``count`` times its ``VALUES`` of these parameters.

        They come first in the statement; ``names`` holds what follows them.
        """
        head, found, rest = self.sql.partition("VALUES (")
        assert found, self.sql
        values, tail = _closed(rest)
        assert self.names[: len(group)] == tuple(group), self.names
        repeated = Statement.__new__(Statement)
        repeated.sql = f"{head}VALUES {', '.join([f'({values})'] * count)}{tail}"
        repeated.constants = self.constants
        repeated.returns = self.returns
        repeated.names = self.names[len(group) :]
        return repeated


def _closed(text: str) -> tuple[str, str]:
    """Return what stands before the parenthesis that closes one before the text, and behind it.

    A value may be a call, but no text with parentheses of its own.
    """
    depth = 1
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[:place], text[place + 1 :]
    raise AssertionError(text)


class StatementsBase:
    """The compiled statements of one table."""

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

    def repeated(self, single: Statement, group: Sequence[str], count: int) -> Statement:
        """Return ``single`` with ``count`` groups of values, see ``Statement.repeated``."""
        key = (single.sql, count)
        found = self.ready.get(key)
        if found is None:
            found = self.ready[key] = single.repeated(group, count)
        return found


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


def _positional(engine_dialect: Dialect) -> Dialect:
    """Return a dialect that compiles for the same driver with its parameters by position."""
    if engine_dialect.positional:
        return engine_dialect
    style = {"named": "qmark", "pyformat": "format"}[engine_dialect.paramstyle]
    return type(engine_dialect)(paramstyle=style)  # type: ignore[call-arg]
