"""A store, through objects of every version at once, and what comes of the operations on it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from buddy.memory.errors import MemoryDbError
from buddy.memory.receipt import Receipt
from buddy.memory.row import MemoryRow as MemoryRowV1
from buddy.memory.v2.db.schema import MemoryRow, SummaryRow
from tests.model_based.operations import Given, Operation

METHODS = {
    "upsert": "upsert_{one}",
    "upsert_many": "upsert_{many}",
    "restore": "restore_{many}",
    "read": "read_{many}",
    "read_one": "read_{one}",
    "read_many": "read_{many}_by_id",
    "iterate": "iter_{many}",
    "pages": "page_{many}",
    "count": "count_{many}",
    "delete": "delete_{one}",
    "delete_many": "delete_{many}",
    "exists": "memory_exists",
    "drop": "drop_table",
    "mark": "change_mark",
}
PLURALS = {"memory": "memories", "summary": "summaries"}
MOST_PAGES = 40


class DatabaseApis:
    """The objects on one store. ``openers`` is by API: "v1" where there is one, "v2", "async".

    ``across_users`` tells whether the rows of all users have one order, whichever object of this
    process wrote them.
    """

    def __init__(self, openers: dict[str, Callable[[], Any]], across_users: bool = True) -> None:
        self.openers, self.across_users = openers, across_users
        self._open: dict[str, Any] = {}
        self._loop = asyncio.new_event_loop()
        self.stored: tuple[tuple[str | None, str], ...] = ()
        """Which rows the last refused bulk write left stored, as its error told."""

    def outcome(self, operation: Operation) -> Any:
        """Return what an operation returns, in a form to be compared, or which error it raises."""
        self.stored = ()
        return self._outcome(operation)

    def _outcome(self, operation: Operation) -> Any:
        perform = getattr(self, operation.call, self._perform)
        try:
            return _shown(perform(operation, *operation.arguments))
        except MemoryDbError as error:
            self.stored = self.stored or error.stored
            return type(error), error.args, sorted(error.stored, key=repr)

    def everything(self) -> Any:
        """Return all rows, in the order of writing, by user where that is all the order."""
        db = self._db("v2")
        kinds = [[*db.iter_memories(sort="asc")], [*db.iter_summaries(sort="asc")]]
        if not self.across_users:
            kinds = [sorted(rows, key=lambda row: repr(row.user_id)) for rows in kinds]
        return _shown(kinds)

    def rows_of(self, user: Any) -> Any:
        """Return the rows of one user."""
        db = self._db("v2")
        return repr(_shown([db.read_memories(user), db.read_summaries(user)]))

    def change_mark(self, user: Any) -> str | None:
        mark: str | None = self._db("v2").change_mark(user)
        return mark

    def close(self) -> None:
        for db in self._open.values():
            self._wait(db.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _db(self, api: str) -> Any:
        if api not in self._open:
            self._open[api] = self.openers[api]()
        return self._open[api]

    def _wait(self, result: Any) -> Any:
        return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def _api(self, operation: Operation) -> str:
        """Return the API to use: not all have version 1, or can restore."""
        if operation.api not in self.openers or (operation.api, operation.call) == (
            "async",
            "restore",
        ):
            return "v2"
        return operation.api

    def _call(self, operation: Operation, *arguments: Any, **named: Any) -> Any:
        name = METHODS.get(operation.call, operation.call)
        name = name.format(one=operation.kind, many=PLURALS[operation.kind])
        return self._wait(getattr(self._db(self._api(operation)), name)(*arguments, **named))

    # --- the operations

    def _perform(self, operation: Operation, *arguments: Any) -> Any:
        """Call the method with its arguments as they are; a mapping holds named ones."""
        if arguments and isinstance(arguments[-1], dict):
            return self._call(operation, *arguments[:-1], **arguments[-1])
        return self._call(operation, *arguments)

    def upsert(self, operation: Operation, row: Given, version: Any) -> Any:
        return self._call(operation, self._row(operation, row), if_version=version)

    def upsert_many(self, operation: Operation, rows: list[Given]) -> Any:
        return self._call(operation, [self._row(operation, row) for row in rows])

    restore = upsert_many

    def exists(self, operation: Operation, row: Given) -> Any:
        return self._call(operation, self._row(operation._replace(kind="memory"), row))

    def iterate(self, operation: Operation, listing: dict[str, Any], between: Operation) -> Any:
        """List rows, with another operation after the first of them."""
        rows = self._call(operation, **listing)
        found, other = [], None
        while (row := self._wait(_next(rows))) is not None:
            found.append(row)
            if len(found) == 1:
                other = self._outcome(between)
        return [found, other]

    def pages(
        self, operation: Operation, listing: dict[str, Any], after: Any, between: Operation
    ) -> Any:
        """Read all pages, by objects in turn, with another operation after the first of them."""
        found, other = [], None
        for number in range(MOST_PAGES):
            apis = sorted(self.openers)
            turn = operation._replace(api=apis[number % len(apis)]) if number else operation
            page = self._call(turn, after=after, **listing)
            found.append(page.rows)
            if number == 0:
                other = self._outcome(between)
            after = page.next
            if after is None:
                return [found, other]
        raise AssertionError("the pages do not end")

    def read_one(self, operation: Operation, id: Any, user: Any) -> Any:
        return self._call(operation, id, user_id=user)

    read_many = delete_many = read_one

    def delete(self, operation: Operation, id: Any, user: Any, version: Any) -> Any:
        return self._call(operation, id, user_id=user, if_version=version)

    def delete_users(self, operation: Operation, prefix: Any) -> Any:
        return self._call(operation, user_prefix=prefix)

    def mark(self, operation: Operation, user: Any) -> Any:
        """Tell whether two objects have the same mark, which is never the same elsewhere."""
        one = self._call(operation, user)
        two = self._call(operation._replace(api="v2"), user)
        return [type(one), one == two]

    def reopen(self, operation: Operation) -> None:
        db = self._open.pop(self._api(operation), None)
        if db is not None:
            self._wait(db.close())

    def _row(self, operation: Operation, given: Given) -> Any:
        id, user, payload, created, updated, version = given
        if operation.kind == "summary":
            row: Any = SummaryRow(payload, "", user, updated, created, version)
        elif self._api(operation) == "v1":
            row = MemoryRowV1(payload, user, created, updated, "", version)
        else:
            row = MemoryRow(payload, "", user, updated, created, version)
        # As it is given: what is made for a missing one differs each time.
        row.id = id if id is not None else 7
        return row


def _next(rows: Any) -> Any:
    """Return the next row of an iterator, or what is to be awaited for it; None at the end."""
    return anext(rows, None) if hasattr(rows, "__anext__") else next(rows, None)


OF_EACH_STORE = {"store", "erased_at", "versions", "sha256"}
"""What differs between the receipts of two stores that did the same."""


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
    if isinstance(value, Receipt):
        shown = value.to_dict()
        return _shown({key: shown[key] for key in shown.keys() - OF_EACH_STORE})
    return value if isinstance(value, type) else repr(value)
