"""The pages that show something."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from buddy.memory import NOBODY
from buddy.memory.cli.doctor import examine
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy_memory_ui.forms import Owner, where_of
from buddy_memory_ui.plot import per_day
from buddy_memory_ui.rendering import Renderer

PAGE = 50
PLOTTED = 1_000
KINDS = ("memory", "summary")


class Pages:
    """Answers requests that change nothing."""

    def __init__(self, db: AsyncMemoryDb, url: str, renderer: Renderer) -> None:
        self._db, self._url, self._renderer = db, url, renderer

    async def users(self, request: Request) -> Response:
        """Users by id, a page of them, with a prefix; and how many memories each has."""
        db, asked = self._db, request.query_params
        prefix, after = asked.get("prefix", ""), asked.get("after")
        found = await db.list_users(prefix=prefix, after=after, limit=PAGE + 1)
        shown = found[:PAGE]
        counts = await asyncio.gather(*map(db.count_memories, shown))
        newest = await db.page_memories(limit=PLOTTED)
        return self._renderer.page(
            "users.html",
            users=[(Owner(name), count) for name, count in zip(shown, counts, strict=True)],
            nobody=await db.count_memories(NOBODY),
            owner_of_nobody=Owner(None),
            total=await db.count_memories(),
            prefix=prefix,
            next=shown[-1] if len(found) > PAGE else None,
            plot=per_day(row.created_at for row in newest.rows),
            plotted=len(newest.rows),
        )

    async def user(self, request: Request) -> Response:
        """One user's memories or summaries, newest first; and a plot of the memories by day."""
        owner, asked = Owner.of(request.query_params), request.query_params
        kind, after = _kind(asked.get("kind", "memory")), asked.get("after")
        db, whose = self._db, owner.argument
        read = db.page_memories if kind == "memory" else db.page_summaries
        page: Any = await read(whose, limit=PAGE, after=after)
        times = []
        if kind == "memory" and after is None:
            newest = await db.page_memories(whose, limit=PLOTTED)
            times = [row.created_at for row in newest.rows]
        return self._renderer.page(
            "user.html",
            owner=owner,
            kind=kind,
            rows=[Shown(kind, row) for row in page.rows],
            total=await (db.count_memories if kind == "memory" else db.count_summaries)(whose),
            next=page.next,
            plot=per_day(times),
            plotted=len(times),
            query="", where="", method="keyword",
        )  # fmt: skip

    async def search(self, request: Request) -> Response:
        """What a query and a filter find among a user's memories, with scores and reasons."""
        owner, asked = Owner.of(request.query_params), request.query_params
        query, where = asked.get("query", ""), asked.get("where", "")
        method = asked.get("method", "keyword")
        found = await self._db.search_memories(
            query or None, user_id=owner.argument, where=where_of(where), method=method, limit=PAGE
        )
        results = [(result, Shown("memory", result.row)) for result in found]
        values = {"results": results, "query": query, "where": where, "method": method}
        return self._renderer.page("search.html", owner=owner, **values)

    async def row(self, request: Request) -> Response:
        """One row in full."""
        owner, asked = Owner.of(request.query_params), request.query_params
        kind, id = _kind(asked.get("kind", "memory")), asked.get("id", "")
        read = self._db.read_memory if kind == "memory" else self._db.read_summary
        row = await read(id, user_id=owner.argument)
        if row is None:
            raise HTTPException(404, f"There is no such {kind} (any more).")
        return self._renderer.page("row.html", owner=owner, row=Shown(kind, row))

    async def check(self, request: Request) -> Response:
        """What ``buddy-memory check`` finds; it writes nothing."""
        findings = await asyncio.to_thread(lambda: list(examine(self._url, write=False)))
        return self._renderer.page("check.html", findings=findings)


class Shown:
    """A row, as templates show it."""

    def __init__(self, kind: str, row: Any) -> None:
        self.kind, self.row, self.id = kind, row, row.id
        self.payload = row.memory if kind == "memory" else row.summary

    @property
    def text(self) -> str:
        """What it says, cut by the template."""
        text = self.payload.get(self.kind)
        return text if isinstance(text, str) else json.dumps(self.payload, ensure_ascii=False)

    @property
    def json(self) -> str:
        """The payload as JSON that can be edited."""
        return json.dumps(self.payload, ensure_ascii=False, indent=2)


def _kind(text: str) -> str:
    if text not in KINDS:
        raise HTTPException(400, "There are memories and summaries.")
    return text
