"""What memory objects take and give: a memory of a user, and the summary of a session.

In the database a memory is the JSON object ``{"memory": text}`` and, where given, ``"topics"`` (a
list of texts) and ``"input"`` (the text it was made from); a summary is ``{"summary": text}`` and
``"topics"``. Id, user and times are the row's own. Rows with more or fewer keys, as other software
writes them, load all the same: unknown keys are left alone, a ``"topic"`` counts as the only topic,
and an object without the text is shown as its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from typing_extensions import Self

from buddy.memory.conversation.type_guards import is_list
from buddy.memory.errors import InvalidMemoryError


class _Remembered:
    """What both have in common."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are not None as JSON types; times in ISO 8601."""
        shown = {key: value for key, value in vars(self).items() if value is not None}
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in shown.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return what ``to_dict`` gave; unknown keys are ignored, times may be ISO texts.

        Raises TypeError without the text, ValueError for a time that is none.
        """
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        values = {key: value for key, value in data.items() if key in known}
        for key in ("last_updated", "created_at"):
            if isinstance(values.get(key), str):
                values[key] = datetime.fromisoformat(values[key].replace("Z", "+00:00"))
        return cls(**values)


@dataclass
class UserMemory(_Remembered):
    """One memory of a user. Without ``memory_id`` it is not stored yet.

    Times are aware, in UTC, when they come from a database. ``input`` is what the user said, up to
    ``extraction.MAX_INPUT`` characters, where a model made the memory of it.
    """

    memory: str
    topics: list[str] | None = None
    input: str | None = None
    last_updated: datetime | None = None
    memory_id: str | None = None
    created_at: datetime | None = None
    user_id: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return what the database stores. Raises InvalidMemoryError for a wrong field."""
        payload: dict[str, Any] = {"memory": _said(self.memory, "memory")}
        if self.topics is not None:
            payload["topics"] = _texts(self.topics)
        if self.input is not None:
            payload["input"] = _text(self.input, "input")
        return payload

    @classmethod
    def from_row(cls, row: Any) -> UserMemory:
        """Return the memory of a stored row, of either version of the API."""
        source = row.memory.get("input")
        return cls(
            _shown(row.memory, "memory"),
            _topics(row.memory),
            source if isinstance(source, str) else None,
            row.last_updated if hasattr(row, "last_updated") else row.updated_at,
            row.id,
            row.created_at,
            row.user_id,
        )


@dataclass
class SessionSummary(_Remembered):
    """The summary of one session, and what it was about."""

    summary: str
    topics: list[str] | None = None
    last_updated: datetime | None = None
    session_id: str | None = None
    created_at: datetime | None = None
    user_id: str | None = None

    def payload(self) -> dict[str, Any]:
        """Return what the database stores. Raises InvalidMemoryError for a wrong field."""
        payload: dict[str, Any] = {"summary": _text(self.summary, "summary")}
        if self.topics is not None:
            payload["topics"] = _texts(self.topics)
        return payload

    @classmethod
    def from_row(cls, row: Any) -> SessionSummary:
        """Return the summary of a stored row."""
        return cls(
            _shown(row.summary, "summary"),
            _topics(row.summary),
            row.last_updated,
            row.id,
            row.created_at,
            row.user_id,
        )


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    raise InvalidMemoryError(f"must be a text, not {type(value).__name__}", name)


def _said(value: Any, name: str) -> str:
    text = _text(value, name)
    if text.strip():
        return text
    raise InvalidMemoryError("must not be empty", name)


def _texts(value: Any) -> list[str]:
    if is_list(value):
        return [_text(topic, f"topics[{i}]") for i, topic in enumerate(value)]
    raise InvalidMemoryError(f"must be a list of texts, not {type(value).__name__}", "topics")


def _shown(payload: dict[str, Any], key: str) -> str:
    text = payload.get(key)
    return text if isinstance(text, str) else json.dumps(payload, ensure_ascii=False)


def _topics(payload: dict[str, Any]) -> list[str] | None:
    topics = payload.get("topics", payload.get("topic"))
    if isinstance(topics, str):
        return [topics]
    if not is_list(topics):
        return None
    return [topic for topic in topics if isinstance(topic, str)]
