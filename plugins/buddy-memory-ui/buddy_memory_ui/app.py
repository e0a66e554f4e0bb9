"""The application: its addresses, and what becomes of errors."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from buddy.memory.cli.formatting import one_line, plain, time
from buddy.memory.errors import MemoryDbError
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy_memory_ui.changes import Changes
from buddy_memory_ui.pages import Pages
from buddy_memory_ui.rendering import Renderer, told
from buddy_memory_ui.security import Guard

FOLDER = Path(__file__).parent


def make_app(
    db: AsyncMemoryDb,
    url: str,
    *,
    port: int,
    token: str,
    write: bool = False,
    embedder: str | None = None,
) -> Starlette:
    """Return the application over a database, which it closes in the end.

    ``url`` is what the database was opened by, for the checks; ``port`` is where it is served, and
    ``token`` what signs in once. Nothing can be changed without ``write``.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=plain, one_line=one_line, time=time)
    # No secret is in the settings; they name the database in the head of each page.
    settings = " ".join(value for value in db.to_dict().values() if isinstance(value, str))
    renderer = Renderer(environment, {"store": settings, "write": write, "embedder": embedder})
    pages = Pages(db, url, renderer)
    routes = [
        Route("/", pages.users),
        Route("/user", pages.user),
        Route("/search", pages.search),
        Route("/row", pages.row),
        Route("/check", pages.check),
        Mount("/static", StaticFiles(directory=FOLDER / "static")),
    ]
    if write:
        changes = Changes(db, renderer)
        routes += [
            Route("/row/save", changes.save, methods=["POST"]),
            Route("/row/delete", changes.delete, methods=["POST"]),
            Route("/forget", changes.forget, methods=["POST"]),
        ]

    async def failed(request: Request, error: Exception) -> Response:
        status, title, text = told(error)
        return renderer.page("message.html", status, title=title, text=text)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await db.close()

    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, port=port, token=token)],
        exception_handlers={MemoryDbError: failed, HTTPException: failed},
        lifespan=lifespan,
    )
