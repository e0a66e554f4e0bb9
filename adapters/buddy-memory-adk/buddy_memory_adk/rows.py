"""What is stored of an event or a memory, and what a search gives back.

A row is ``{"memory": text, "content": …, "author": …, "timestamp": …, "metadata": {…}}``; that of
an event has its ``session``, too. ``content`` is JSON text where rule R8 refuses what it holds.
Of a deleted memory ``DELETED`` stays.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.genai.types import Content, Part

from buddy.memory import MemoryRow
from buddy.memory.adapting import join_scope
from buddy.memory.errors import InvalidMemoryError
from buddy.memory.payload import encode

logger = logging.getLogger("buddy.memory")

DELETED = {"memory": ""}

_NO_KEY = re.compile("[\0\ud800-\udfff]")


def event_row(
    event: Event, scope: str, session_id: str, metadata: Mapping[str, object]
) -> MemoryRow:
    """Return the row of an event, named ``<session>/<event>/``."""
    id, text = _event_id(session_id, event.id), _text(event.content)
    payload = {
        "memory": text,
        # One without a text is not stored: nothing is to be told of what it holds.
        "content": _stored(event.content, id) if event.content and text else None,
        "author": event.author,
        "timestamp": _time(event.timestamp),
        "metadata": dict(metadata),
        "session": session_id,
    }
    return MemoryRow(payload, id, scope)


def memory_row(entry: MemoryEntry, scope: str, metadata: Mapping[str, object]) -> MemoryRow:
    """Return the row of a memory, named by its own id."""
    id = entry.id or uuid4().hex
    payload = {
        "memory": _text(entry.content),
        "content": _stored(entry.content, id),
        "author": entry.author,
        "timestamp": entry.timestamp,
        "metadata": {**metadata, **entry.custom_metadata},
    }
    return MemoryRow(payload, id, scope)


def is_event(row: MemoryRow) -> bool:
    """Tell whether the row is as ``event_row`` made it: not deleted, and no ``memory_row``."""
    return isinstance(row.memory.get("session"), str) and readable_entry(row) is not None


def readable_entry(row: MemoryRow) -> MemoryEntry | None:
    """Return the memory of a row. None for a deleted one, and with one warning for a row that
    another program wrote."""
    kept = row.memory
    if kept == DELETED:
        return None
    try:
        content = kept["content"]
        return MemoryEntry(
            content=Content.model_validate(
                json.loads(content) if isinstance(content, str) else content
            ),
            custom_metadata=kept["metadata"],
            id=row.id,
            author=kept["author"],
            timestamp=kept["timestamp"],
        )
    except (KeyError, ValueError, RecursionError):
        logger.warning("skipped the row %r of the user %r: no memory of ADK", row.id, row.user_id)
        return None


def _event_id(session_id: str, event_id: str) -> str:
    """Return a key of its own for each event, also where the ids hold what no key may hold."""
    # A percent sign of the ids themselves is followed by 2, so that no two come to one.
    return _NO_KEY.sub(lambda odd: f"%{ord(odd[0]):04X}", join_scope(session_id, event_id))


def _text(content: Content | None) -> str:
    parts = (content.parts or []) if content is not None else []
    return " ".join(part.text for part in parts if part.text)


def _stored(content: Content, id: str) -> Any:
    """Return the content as JSON, as JSON text where it has to be, or else its texts alone."""
    try:
        dumped = content.model_dump(mode="json", exclude_none=True)
        try:
            return encode({"content": dumped})["content"]
        except InvalidMemoryError:
            return json.dumps(dumped)
    except (TypeError, ValueError, RecursionError) as error:  # an object of some class, a circle
        logger.warning("stored only the texts of %r: %s", id, error)
        return _texts_alone(content).model_dump(mode="json", exclude_none=True)


def _texts_alone(content: Content) -> Content:
    texts = [Part(text=p.text, thought=p.thought) for p in content.parts or [] if p.text]
    return Content(role=content.role, parts=texts)


def _time(seconds: float) -> str | None:
    """Return a time stamp in UTC, None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    except (OSError, OverflowError, ValueError):
        return None
