"""What people use today: langgraph's stores, with a namespace for each user.

Their key is unique within a namespace only, they have no question for existence, and they page by
offset. Many rows go in batches of 1,000.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from langgraph.store.base import PutOp

from benchmarks.sides import PAGE, Row, chunks


class LangGraph:
    """A store that ``make`` opens; ``where`` and ``name`` are its arguments."""

    name = "langgraph"
    store = "langgraph"
    asynchronous = False
    exists: Any = None
    make: Any

    def __init__(self, where: str, name: str) -> None:
        self.given = (where, name)

    def open(self) -> None:
        self.context = self.make(*self.given)
        self.db = self.context.__enter__()

    def create(self) -> Any:
        return self.db.setup()

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.db.put((user,), id, memory)

    def put_many(self, rows: list[Row]) -> Any:
        for some in operations(rows):
            self.db.batch(some)

    def get(self, id: str, user: str) -> Any:
        return self.db.get((user,), id)

    def newest(self, user: str, limit: int) -> Any:
        return self.db.search((user,), limit=limit)

    def page(self, user: str | None) -> Any:
        found, prefix = 0, () if user is None else (user,)
        for page in count():
            rows = self.db.search(prefix, limit=PAGE, offset=page * PAGE)
            found += len(rows)
            if len(rows) < PAGE:
                break
        return found

    def delete(self, id: str, user: str) -> Any:
        return self.db.delete((user,), id)

    def close(self) -> Any:
        return self.context.__exit__(None, None, None)


class LangGraphAsync(LangGraph):
    """The asynchronous stores."""

    name = "langgraph, async"
    asynchronous = True

    async def open(self) -> None:  # type: ignore[override]
        self.context = self.make(*self.given)
        self.db = await self.context.__aenter__()

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.db.aput((user,), id, memory)

    async def put_many(self, rows: list[Row]) -> None:
        for some in operations(rows):
            await self.db.abatch(some)

    def get(self, id: str, user: str) -> Any:
        return self.db.aget((user,), id)

    def newest(self, user: str, limit: int) -> Any:
        return self.db.asearch((user,), limit=limit)

    async def page(self, user: str | None) -> int:
        found, prefix = 0, () if user is None else (user,)
        for page in count():
            rows = await self.db.asearch(prefix, limit=PAGE, offset=page * PAGE)
            found += len(rows)
            if len(rows) < PAGE:
                break
        return found

    def delete(self, id: str, user: str) -> Any:
        return self.db.adelete((user,), id)

    def close(self) -> Any:
        return self.context.__aexit__(None, None, None)


def operations(rows: list[Row]) -> Any:
    return chunks([PutOp((user,), id, memory) for id, user, memory in rows], 1000)


def sides(make: Any, make_async: Any = None) -> list[type[Any]]:
    """Return the sides for the functions that make the stores."""
    both = [type("LangGraph", (LangGraph,), {"make": staticmethod(make)})]
    if make_async is not None:
        both.append(type("LangGraphAsync", (LangGraphAsync,), {"make": staticmethod(make_async)}))
    return both
