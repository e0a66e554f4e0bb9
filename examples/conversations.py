"""Conversations of two people over many sessions, as the demo plays them."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from buddy.memory.v2.memory import UserMemory

QUESTIONS = 3


class Session(NamedTuple):
    """One sitting of two people: its id, when it was, and who said what."""

    id: str
    when: str
    turns: list[tuple[str, str]]

    @property
    def time(self) -> datetime | None:
        """When it was, or None where that is not written as in "9:10 am on 3 March, 2025"."""
        try:
            read = datetime.strptime(self.when, "%I:%M %p on %d %B, %Y")
        except ValueError:
            return None
        return read.replace(tzinfo=timezone.utc)

    def memories(self, messages: list[dict[str, str]]) -> list[UserMemory]:
        """Make a memory of each message, word for word, with the time of the session."""
        time = self.time
        return [UserMemory(m["content"], created_at=time, last_updated=time) for m in messages]


class Conversation(NamedTuple):
    """All sessions of two people. ``name`` keeps equally named people of two files apart."""

    name: str
    speakers: tuple[str, str]
    sessions: list[Session]
    questions: list[str]

    def user(self, speaker: str) -> str:
        return f"{self.name}/{speaker}"

    @property
    def pair(self) -> str:
        """The owner of what belongs to both: the summaries of their sessions."""
        return f"{self.name}/{' & '.join(self.speakers)}"


def load(file: Path) -> Conversation:
    """Read a conversation; exit with a sentence when the file holds none."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        speakers = (str(data["speaker_a"]), str(data["speaker_b"]))
        # A date can stand without its session, and other keys beside them.
        numbers = sorted(int(m[1]) for key in data if (m := re.fullmatch(r"session_(\d+)", key)))
        sessions = [
            Session(
                f"{file.stem}/session {n}",
                str(data.get(f"session_{n}_date_time", "")),
                [(str(turn["speaker"]), said(turn)) for turn in data[f"session_{n}"]],
            )
            for n in numbers
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{file} is no conversation: {type(error).__name__}: {error}")
    if not sessions:
        sys.exit(f"{file} is no conversation: it has no session_1")
    return Conversation(file.stem, speakers, sessions, questions(data))


def questions(data: dict[str, Any]) -> list[str]:
    """Return the questions that come with a conversation, at most QUESTIONS of them.

    LoCoMo's name the turns that answer them, as "D3:7", and category 5 has no answer: these are
    chosen from different sessions.
    """
    if "questions" in data:
        return [str(question) for question in data["questions"]][:QUESTIONS]
    chosen: dict[str, str] = {}
    for asked in data.get("qa", []):
        session = str(next(iter(asked.get("evidence", [])), "")).partition(":")[0]
        if session and asked.get("category") != 5:
            chosen.setdefault(session, str(asked["question"]))
    return list(chosen.values())[:: max(1, len(chosen) // QUESTIONS)][:QUESTIONS]


def said(turn: dict[str, Any]) -> str:
    """Return the text of a turn, and what is on the picture that came with it."""
    caption = turn.get("blip_caption")
    return f"{turn['text']} [shows {caption}]" if caption else str(turn["text"])
