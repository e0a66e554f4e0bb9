"""How much of what was asked for a search finds, and how long it takes.

    python -m benchmarks.recall FOLDER [ROWS…] [--embedder benchmarks.minilm:embedder]

FOLDER holds conversations in the form of LoCoMo (Maharana et al., 2024): JSON with ``session_1``,
``session_2``, … of turns (``speaker``, ``text``, ``dia_id``, ``blip_caption``), and ``qa`` of
questions with the ids of the turns that answer them. They are not part of this project. Each
conversation is a user, each turn a row; questions of category 5 have no answer and are left out.
With an embedder, searches by meaning are measured, too.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.cli.parameters import named_embedder

CUTS = (5, 10, 20)
METHODS: dict[str, dict[str, Any]] = {"keyword": {}, "keyword, neighbours 2": {"neighbours": 2}}
BY_MEANING: dict[str, dict[str, Any]] = {
    "semantic": {"method": "semantic"},
    "hybrid": {"method": "hybrid"},
    "hybrid, neighbours 2": {"method": "hybrid", "neighbours": 2},
}


def turns(conversation: dict[str, Any]) -> list[tuple[str, str]]:
    """Return id and text of each turn."""
    found = []
    for number in range(1, 100):
        for turn in conversation.get(f"session_{number}") or []:
            caption = f" [{turn['blip_caption']}]" if turn.get("blip_caption") else ""
            found.append((turn["dia_id"], f"{turn['speaker']}: {turn['text']}{caption}"))
    return found


def questions(conversation: dict[str, Any], ids: set[str]) -> list[tuple[str, list[str]]]:
    """Return each question that has an answer, with the ids of the turns that hold it."""
    found = []
    for one in conversation["qa"]:
        named = re.findall(r"D\d+:\d+", " ".join(one["evidence"]))
        evidence = [id for id in named if id in ids]
        if one["category"] != 5 and evidence:
            found.append((one["question"], evidence))
    return found


def recall(
    db: Any, conversations: list[dict[str, Any]], methods: dict[str, dict[str, Any]]
) -> None:
    """Print the table of recall by method."""
    asked = 0
    for number, conversation in enumerate(conversations):
        rows = [MemoryRow({"memory": t}, id, f"user {number}") for id, t in turns(conversation)]
        db.upsert_memories(rows)
    print("| Method | recall@5 | @10 | @20 | MRR |\n|---|---|---|---|---|")
    for name, options in methods.items():
        sums: Counter[Any] = Counter()
        asked = 0
        for number, conversation in enumerate(conversations):
            ids = {id for id, _ in turns(conversation)}
            for question, evidence in questions(conversation, ids):
                found = db.search_memories(
                    question, user_id=f"user {number}", limit=max(CUTS), **options
                )
                ranks = {result.row.id: rank for rank, result in enumerate(found)}
                for cut in CUTS:
                    hits = sum(ranks.get(id, cut) < cut for id in evidence)
                    sums[cut] += hits / len(evidence)
                sums["mrr"] += 1 / (1 + min(ranks.get(id, 10**9) for id in evidence))
                asked += 1
        values = " | ".join(f"{sums[key] / asked:.3f}" for key in (*CUTS, "mrr"))
        print(f"| {name} | {values} |")
    print(f"\n{asked} questions on {db.count_memories()} rows.\n")


def times(url: str, texts: list[str], asked: list[str], sizes: list[int]) -> None:
    """Print the table of times by the rows of one user."""
    print("| Rows | first | p50 | p95 | after an own write | after another's |")
    print("|---|---|---|---|---|---|")
    for size in sizes:
        with open_memory_db(url) as db, open_memory_db(url) as other:
            db.clear()
            db.upsert_memories(
                MemoryRow({"memory": texts[n % len(texts)]}, str(n), "ann") for n in range(size)
            )
            first = _milliseconds(db, asked[0])
            warm = [_milliseconds(db, question) for question in asked[1:101]]
            own, others = [], []
            for n, question in enumerate(asked[1:21]):
                db.upsert_memory(MemoryRow({"memory": texts[n]}, "own", "ann"))
                own.append(_milliseconds(db, question))
                other.upsert_memory(MemoryRow({"memory": texts[n]}, "other", "ann"))
                others.append(_milliseconds(db, question))
            p95 = quantiles(warm, n=20)[-1]
            shown = (first, median(warm), p95, median(own), median(others))
            print(f"| {size:,} | " + " | ".join(f"{value:.2f} ms" for value in shown) + " |")


def _milliseconds(db: Any, question: str) -> float:
    begun = time.perf_counter()
    db.search_memories(question, user_id="ann")
    return (time.perf_counter() - begun) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sizes", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--embedder", type=named_embedder)
    given = parser.parse_args()
    conversations = [json.loads(file.read_text()) for file in sorted(given.folder.glob("*.json"))]
    with open_memory_db("memory://", embedder=given.embedder) as db:
        recall(db, conversations, METHODS | (BY_MEANING if given.embedder else {}))
    texts = [text for one in conversations for _, text in turns(one)]
    asked = [one["question"] for conversation in conversations for one in conversation["qa"]]
    with tempfile.TemporaryDirectory() as place:
        times(f"sqlite:///{place}/m.db", texts, asked, given.sizes)


if __name__ == "__main__":
    main()
