"""How much of what was asked for a search finds, by method.

Conversations are in the form of LoCoMo (Maharana et al., 2024): JSON with ``session_1``,
``session_2``, … of turns (``speaker``, ``text``, ``dia_id``, ``blip_caption``), and ``qa`` of
questions with the ids of the turns that answer them. They are not part of this project. Each
conversation is a user, each turn a row; questions of category 5 have no answer and are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from buddy.memory import MemoryRow

Conversation = dict[str, Any]

CUTS = (5, 10, 20)
BY_WORDS: dict[str, dict[str, Any]] = {"keyword": {}, "keyword, neighbours 2": {"neighbours": 2}}
BY_MEANING: dict[str, dict[str, Any]] = {
    "semantic": {"method": "semantic"},
    "hybrid": {"method": "hybrid"},
    "hybrid, neighbours 2": {"method": "hybrid", "neighbours": 2},
}
TARGETS = {
    "keyword": 0.61,
    "keyword, neighbours 2": 0.68,
    "hybrid": 0.66,
    "hybrid, neighbours 2": 0.70,
}
"""Least recall in the first ten."""


def turns(conversation: Conversation) -> list[tuple[str, str]]:
    """Return id and text of each turn."""
    found = []
    for number in range(1, 100):
        for turn in conversation.get(f"session_{number}") or []:
            caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
            found.append((turn["dia_id"], f"{turn['speaker']}: {turn['text']}{caption}"))
    return found


def questions(conversation: Conversation, ids: set[str]) -> list[tuple[str, list[str]]]:
    """Return each question that has an answer, with the ids of the turns that hold it."""
    found = []
    for one in conversation["qa"]:
        named = re.findall(r"D\d+:\d+", " ".join(one["evidence"]))
        evidence = [id for id in named if id in ids]
        if one["category"] != 5 and evidence:
            found.append((one["question"], evidence))
    return found


def recalls(
    db: Any, conversations: list[Conversation], methods: dict[str, dict[str, Any]]
) -> dict[str, dict[str, float]]:
    """Store the conversations; return by method the share of the evidence that is among the first
    5, 10 and 20 ("@5", …), the mean reciprocal rank ("MRR"), and how many questions were asked."""
    for number, conversation in enumerate(conversations):
        rows = [MemoryRow({"memory": t}, id, f"user {number}") for id, t in turns(conversation)]
        db.upsert_memories(rows)
    return {name: _recall(db, conversations, options) for name, options in methods.items()}


def _recall(
    db: Any, conversations: list[Conversation], options: dict[str, Any]
) -> dict[str, float]:
    sums: Counter[str] = Counter()
    asked = 0
    for number, conversation in enumerate(conversations):
        ids = {id for id, _ in turns(conversation)}
        for question, evidence in questions(conversation, ids):
            user = f"user {number}"
            found = db.search_memories(question, user_id=user, limit=max(CUTS), **options)
            ranks = {result.row.id: rank for rank, result in enumerate(found)}
            for cut in CUTS:
                hits = sum(ranks.get(id, cut) < cut for id in evidence)
                sums[f"@{cut}"] += hits / len(evidence)  # type: ignore[assignment]
            sums["MRR"] += 1 / (1 + min(ranks.get(id, 10**9) for id in evidence))  # type: ignore[assignment]
            asked += 1
    return {**{name: value / asked for name, value in sums.items()}, "questions": asked}
