"""What the tests of buddy-memory-adk say, and what they find again."""

from __future__ import annotations

from typing import Any

from google.adk.events.event import Event
from google.adk.sessions.session import Session
from google.genai.types import Content, Part


def said(text: str, author: str = "user", **more: Any) -> Event:
    """Return an event of one text."""
    content = Content(role="user", parts=[Part(text=text)])
    return Event(author=author, content=content, **more)


def session(*events: Event, user: str = "ann", id: str = "s", app: str = "app") -> Session:
    """Return a session of these events."""
    return Session(id=id, app_name=app, user_id=user, events=list(events))


def texts(response: Any) -> list[str]:
    """Return the first text of each memory that a search found."""
    return [entry.content.parts[0].text for entry in response.memories]
