"""A place, through objects of every version at once, and what comes of the operations on it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from buddy.memory.errors import MemoryDbError
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.agreement.steps import Given, Step

NAMES = {
    ("upsert", "memory"): "upsert_memory",
    ("upsert_many", "memory"): "upsert_memories",
    ("upsert_many", "summary"): "upsert_summaries",
    ("restore", "memory"): "restore_memories",
    ("restore", "summary"): "restore_summaries",
    ("read", "memory"): "read_memories",
    ("read", "summary"): "read_summaries",
    ("iterate", "memory"): "iter_memories",
    ("iterate", "summary"): "iter_summaries",
    ("read_one", "memory"): "read_memory",
    ("read_one", "summary"): "read_summary",
    ("count", "memory"): "count_memories",
    ("count", "summary"): "count_summaries",
    ("delete_many", "memory"): "delete_memories",
    ("delete_many", "summary"): "delete_summaries",
}


class Faces:
    """The objects on one place. ``openers`` is by face: "v1" where there is one, "v2", "async"."""

    def __init__(self, openers: dict[str, Callable[[], Any]]) -> None:
        self.openers = openers
        self._open: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self.stored_ids: tuple[str, ...] = ()
        """Which rows the last refused bulk write left stored, as its error told."""

    def outcome(self, step: Step) -> Any:
        """Return what an operation returns, in a form to be compared, or which error it raises."""
        self.stored_ids = ()
        return self._outcome(step)

    def _outcome(self, step: Step) -> Any:
        try:
            return _shown(getattr(self, step.call)(step, *step.arguments))
        except MemoryDbError as error:
            self.stored_ids = self.stored_ids or error.stored_ids
            return type(error), error.args, sorted(error.stored_ids)

    def everything(self) -> Any:
        """Return all rows, in the order of writing."""
        db = self._db("v2")
        return _shown([[*db.iter_memories(sort="asc")], [*db.iter_summaries(sort="asc")]])

    def close(self) -> None:
        for db in self._open.values():
            self._wait(db.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _db(self, face: str) -> Any:
        if face not in self._open:
            self._open[face] = self.openers[face]()
        return self._open[face]

    def _wait(self, result: Any) -> Any:
        return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def _face(self, step: Step) -> str:
        """Return the face to use: not all have version 1, or can restore."""
        if step.face not in self.openers or (step.face, step.call) == ("async", "restore"):
            return "v2"
        return step.face

    def _call(self, step: Step, *arguments: Any, **named: Any) -> Any:
        name = NAMES.get((step.call, step.kind), f"{step.call}_{step.kind}")
        return self._wait(getattr(self._db(self._face(step)), name)(*arguments, **named))

    # --- the operations

    def upsert(self, step: Step, row: Given, version: Any) -> Any:
        return self._call(step, self._row(step, row), if_version=version)

    def upsert_many(self, step: Step, rows: list[Given]) -> Any:
        return self._call(step, [self._row(step, row) for row in rows])

    restore = upsert_many

    def read(self, step: Step, *arguments: Any) -> Any:
        return self._call(step, *arguments)

    count = read

    def iterate(self, step: Step, user: Any, sort: Any, page_size: Any, between: Step) -> Any:
        """List rows, with another operation after the first of them."""
        rows = self._call(step, user, sort, page_size)
        found, other = [], None
        while (row := self._wait(_next(rows))) is not None:
            found.append(row)
            if len(found) == 1:
                other = self._outcome(between)
        return [found, other]

    def read_one(self, step: Step, id: Any, user: Any) -> Any:
        return self._call(step, id, user_id=user)

    delete_many = read_one

    def exists(self, step: Step, row: Given) -> Any:
        memory = step._replace(kind="memory")
        db = self._db(self._face(memory))
        return self._wait(db.memory_exists(self._row(memory, row)))

    def delete(self, step: Step, id: Any, user: Any, version: Any) -> Any:
        return self._call(step, id, user_id=user, if_version=version)

    def delete_user(self, step: Step, user: Any) -> Any:
        return self._wait(self._db(self._face(step)).delete_user(user))

    def clear(self, step: Step) -> Any:
        return self._wait(self._db(self._face(step)).clear())

    def drop(self, step: Step) -> Any:
        return self._wait(self._db(self._face(step)).drop_table())

    def reopen(self, step: Step) -> None:
        db = self._open.pop(self._face(step), None)
        if db is not None:
            self._wait(db.close())

    def _row(self, step: Step, given: Given) -> Any:
        id, user, payload, created, updated, version = given
        if step.kind == "summary":
            row: Any = SummaryRow(payload, "", user, updated, created, version)
        elif self._face(step) == "v1":
            row = MemoryRowV1(payload, user, created, updated, "", version)
        else:
            row = MemoryRow(payload, "", user, updated, created, version)
        row.id = id  # As it is given: a missing one is not made.
        return row


def _next(rows: Any) -> Any:
    """Return the next row of an iterator, or what is to be awaited for it; None at the end."""
    return anext(rows, None) if hasattr(rows, "__anext__") else next(rows, None)


def _shown(value: Any) -> Any:
    """Return a result in a form that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_shown(item) for item in value)
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    if isinstance(value, (MemoryRow, MemoryRowV1, SummaryRow)):
        return {name: _shown(item) for name, item in vars(value).items()}
    return value if isinstance(value, type) else repr(value)
