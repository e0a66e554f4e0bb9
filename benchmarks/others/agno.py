"""What people use today: agno's database classes, by their calls for user memories.

Their memory is one text with topics, their times are whole seconds, and they have no question for
existence. They page by offset.
"""

from __future__ import annotations

import os
from importlib import import_module
from itertools import count
from typing import Any

from benchmarks.sides import PAGE, Row

os.environ["AGNO_TELEMETRY"] = "false"


class Agno:
    """A database class, opened for one table."""

    name = "agno"
    store = "agno"
    asynchronous = False
    exists: Any = None
    cls: str
    arguments: Any

    def __init__(self, where: str, name: str) -> None:
        self.given = (where, name)

    def open(self) -> None:
        module, _, cls = self.cls.rpartition(".")
        self.db = getattr(import_module(module), cls)(**self.arguments(*self.given))
        if not hasattr(self.db, "upsert_memories"):
            self.put_many: Any = None

    def create(self) -> None:
        """Its tables are made by the first write."""

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        return self.db.upsert_user_memory(row(id, user, memory))

    def put_many(self, rows: list[Row]) -> Any:
        return self.db.upsert_memories([row(*given) for given in rows])

    def get(self, id: str, user: str) -> Any:
        return self.db.get_user_memory(id)

    def newest(self, user: str, limit: int) -> Any:
        return self.some(user, limit, 1)

    def some(self, user: str | None, limit: int, page: int) -> Any:
        order = {"sort_by": "updated_at", "sort_order": "desc"}
        return self.db.get_user_memories(user_id=user, limit=limit, page=page, **order)

    def page(self, user: str | None) -> Any:
        found = 0
        for page in count(1):
            rows = self.some(user, PAGE, page)
            found += len(rows)
            if len(rows) < PAGE:
                break
        return found

    def delete(self, id: str, user: str) -> Any:
        return self.db.delete_user_memory(id)

    def close(self) -> Any:
        return self.db.close()


class AgnoAsync(Agno):
    """The asynchronous classes."""

    name = "agno, async"
    asynchronous = True

    async def page(self, user: str | None) -> int:
        found = 0
        for page in count(1):
            rows = await self.some(user, PAGE, page)
            found += len(rows)
            if len(rows) < PAGE:
                break
        return found


def row(id: str, user: str, memory: dict[str, Any]) -> Any:
    from agno.db.schemas import UserMemory

    return UserMemory(memory["memory"], id, memory["topics"], user)


def sides(cls: str, arguments: Any, asynchronous: str = "") -> list[type[Any]]:
    """Return the sides for a class, and for its asynchronous one."""
    members = {"arguments": staticmethod(arguments)}
    both = [type("Agno", (Agno,), {**members, "cls": cls})]
    if asynchronous:
        both.append(type("AgnoAsync", (AgnoAsync,), {**members, "cls": asynchronous}))
    return both
