"""The forms that change something; they exist with ``--write`` only."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from buddy.memory import KEEP, MemoryRow, SummaryRow
from buddy.memory.errors import ConflictError, MemoryDbError
from buddy.memory.v2.db.base import AsyncMemoryDb
from buddy_memory_ui.forms import Owner, payload_of, read_form, version_of
from buddy_memory_ui.pages import KINDS, Shown
from buddy_memory_ui.rendering import Renderer, told


class Changes:
    """Answers forms. A row is changed only where it has the version that was seen."""

    def __init__(self, db: AsyncMemoryDb, renderer: Renderer) -> None:
        self._db, self._renderer = db, renderer

    async def save(self, request: Request) -> Response:
        """Store an edited payload; a conflict shows both."""
        form = await read_form(request)
        owner, kind, id, version = _row_of(form)
        text = form.get("payload", "")
        try:
            stored = await self._write(kind, owner, id, payload_of(text), version)
        except ConflictError:
            return await self._conflict(owner, kind, id, text)
        except MemoryDbError as error:  # The text goes back: nobody should write it twice.
            values = {"owner": owner, "kind": kind, "id": id, "version": version, "written": text}
            status, title, reason = told(error)
            return self._renderer.page("unsaved.html", status, title=title, error=reason, **values)
        return RedirectResponse(owner.address("/row", kind=kind, id=stored.id), 303)

    async def delete(self, request: Request) -> Response:
        """Delete a row that has the version that was seen."""
        owner, kind, id, version = _row_of(await read_form(request))
        delete = self._db.delete_memory if kind == "memory" else self._db.delete_summary
        try:
            await delete(id, user_id=owner.argument, if_version=version)
        except ConflictError:
            return await self._conflict(owner, kind, id, None)
        return RedirectResponse(owner.address("/user", kind=kind), 303)

    async def forget(self, request: Request) -> Response:
        """Forget a user whose name was written once more, and show the receipt."""
        form = await read_form(request)
        owner = Owner.of(form)
        if form.get("again") != (owner.name if owner.name is not None else "nobody"):
            raise HTTPException(400, "Another name was written: nobody is forgotten.")
        receipt = await self._db.forget_user(owner.argument)
        facts = receipt.to_dict()
        file = json.dumps(facts, indent=2)
        return self._renderer.page("forgotten.html", receipt=receipt, facts=facts, file=file)

    async def _write(
        self, kind: str, owner: Owner, id: str, payload: dict[str, Any], version: int
    ) -> Any:
        ttl: Any = KEEP if self._db.keeps_ends else None
        if kind == "memory":
            row = MemoryRow(payload, id, owner.name)
            return await self._db.upsert_memory(row, if_version=version, ttl=ttl)
        summary = SummaryRow(payload, id, owner.name)
        return await self._db.upsert_summary(summary, if_version=version, ttl=ttl)

    async def _conflict(self, owner: Owner, kind: str, id: str, text: str | None) -> Response:
        """Show what is stored now beside what was written, so that nothing is lost."""
        read = self._db.read_memory if kind == "memory" else self._db.read_summary
        found = await read(id, user_id=owner.argument)
        row = None if found is None else Shown(kind, found)
        values = {"owner": owner, "kind": kind, "id": id, "row": row, "written": text}
        return self._renderer.page("conflict.html", 409, **values)


def _row_of(form: dict[str, str]) -> tuple[Owner, str, str, int]:
    """Return the row and the version that a form is about."""
    owner, kind, id = Owner.of(form), form.get("kind"), form.get("id")
    if kind not in KINDS or not id:
        raise HTTPException(400, "The form names no row.")
    return owner, kind, id, version_of(form)
