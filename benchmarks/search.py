"""Searches: how much they find, and how long they take by the number of a user's rows.

    ./run bench search FOLDER [BACKEND…] [--sizes 1000,10000] [--embedder MODULE:NAME]

FOLDER holds conversations as ``benchmarks.recall`` reads them; an embedder for measuring is
``benchmarks.minilm:embedder``. Writes SEARCH.md and
plots/search.svg, unless backends or sizes are named. Times are of keyword searches without numpy's
help: the first one, which builds the index; later ones; one right after a write of the same
database object, and after one of another.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.backends import BACKENDS
from benchmarks.recall import BY_MEANING, BY_WORDS, TARGETS, recalls, turns
from benchmarks.scopes import say
from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.cli.parameters import named_embedder

HERE = Path(__file__).parent
SIZES = (100, 1_000, 10_000, 100_000)
KEPT = 50_000
MOST = {"mongo": 1_000, "firestore": 1_000}
"""Rows that the test servers bear."""
CROWD, ROWS_OF_ONE = 1_000_000, 100

Times = dict[str, float]


def measured(url: str, texts: list[str], asked: list[str], size: int) -> Times:
    """Return milliseconds of searches of one user with so many rows."""
    # An index over 64 MiB is not kept: there each search is a first one.
    many, some = (100, 20) if size <= KEPT else (4, 2)
    with open_memory_db(url) as db, open_memory_db(url) as other:
        db.clear()
        rows = [MemoryRow({"memory": texts[n % len(texts)]}, f"{n}", "ann") for n in range(size)]
        for start in range(0, size, 10_000):
            db.upsert_memories(rows[start : start + 10_000])
        first = _milliseconds(other, asked[0])
        other.search_memories(asked[1], user_id="ann")
        warm = [_milliseconds(other, question) for question in asked[1 : many + 1]]
        own, others = [], []
        for n, question in enumerate(asked[1 : some + 1]):
            other.upsert_memory(MemoryRow({"memory": texts[n]}, "own", "ann"))
            own.append(_milliseconds(other, question))
            db.upsert_memory(MemoryRow({"memory": texts[n]}, "other", "ann"))
            others.append(_milliseconds(other, question))
    return {
        "first": first,
        "p50": median(warm),
        "p95": quantiles(warm, n=20)[-1],
        "after its own write": median(own),
        "after another's write": median(others),
    }


def _milliseconds(db: Any, question: str, user: str = "ann") -> float:
    begun = time.perf_counter()
    db.search_memories(question, user_id=user)
    return (time.perf_counter() - begun) * 1e3


def in_a_crowd(url: str, texts: list[str], asked: list[str]) -> dict[str, Times]:
    """Return milliseconds of searching a user with 100 rows, alone and among a million rows."""
    found: dict[str, Times] = {}
    with open_memory_db(url) as db:
        users = CROWD // ROWS_OF_ONE
        for name, count in (("alone", 1), ("among a million rows of 10,000 users", users)):
            for first in range(0, count, 100):
                db.upsert_memories(
                    MemoryRow({"memory": texts[(n * 7 + u) % len(texts)]}, f"{n}", f"user {u}")
                    for u in range(first, min(first + 100, count))
                    for n in range(ROWS_OF_ONE)
                )
            user = "user 0"
            with open_memory_db(url) as other:
                cold = _milliseconds(other, asked[0], user)
                warm = [_milliseconds(other, question, user) for question in asked[1:101]]
            found[name] = {"first": cold, "p50": median(warm)}
    return found


def report(found: dict[str, Any]) -> str:
    """Return the tables as Markdown."""
    lines = ["# Searches: what they find, and how long they take", ""]
    lines += [
        "<!-- --8<-- [start:page] -->",
        f"Written by `./run bench search` on {found['on']}.",
        "",
    ]
    asked = next(iter(found["recall"].values()))["questions"]
    lines += [
        f"Evidence among the first 5, 10 and 20 rows found, for {asked:,} questions on "
        f"{found['rows']:,} turns of {found['users']} conversations (LoCoMo).",
        "",
        "| method | @5 | @10 | @20 | MRR | target @10 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, values in found["recall"].items():
        target = f"≥ {TARGETS[name]:.2f}" if name in TARGETS else ""
        cells = " | ".join(f"{values[key]:.3f}" for key in ("@5", "@10", "@20", "MRR"))
        lines.append(f"| {name} | {cells} | {target} |")
    heads = list(next(iter(next(iter(found["times"].values())).values())))
    lines += ["", "Milliseconds of a keyword search among a user's rows.", ""]
    lines += [f"| backend | rows | {' | '.join(heads)} |", "| --- |" + " ---: |" * (len(heads) + 1)]
    for name, sizes in found["times"].items():
        for size, times in sizes.items():
            cells = " | ".join(f"{times[head]:.3g}" for head in heads)
            lines.append(f"| {BACKENDS[name].title} | {int(size):,} | {cells} |")
    lines += ["", f"A user with {ROWS_OF_ONE} rows, on SQLite:", "", "| | first | p50 |"]
    lines.append("| --- | ---: | ---: |")
    for name, times in found["crowd"].items():
        lines.append(f"| {name} | {times['first']:.3g} | {times['p50']:.3g} |")
    return "\n".join([*lines, "<!-- --8<-- [end:page] -->", ""])


def main(given: list[str]) -> None:
    from benchmarks.__main__ import machine

    parser = argparse.ArgumentParser(prog="./run bench search", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("backend", nargs="*", choices=[*BACKENDS, []])
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--embedder", type=named_embedder)
    arguments = parser.parse_args(given)
    files = sorted(arguments.folder.glob("*.json"))
    conversations = [json.loads(file.read_text()) for file in files]
    texts = [text for one in conversations for _, text in turns(one)]
    asked = [one["question"] for conversation in conversations for one in conversation["qa"]]
    methods = BY_WORDS | (BY_MEANING if arguments.embedder else {})
    options = {"embedder": arguments.embedder} if arguments.embedder else {}
    with open_memory_db("memory://", **options) as db:
        recall = recalls(db, conversations, methods)
    say("recall measured")
    times: dict[str, Any] = {}
    crowd: dict[str, Times] = {}
    for name in arguments.backend or list(BACKENDS):
        with BACKENDS[name].start() as where:
            url = BACKENDS[name].url(where, "search")
            sizes = [n for n in arguments.sizes or SIZES if n <= MOST.get(name, n)]
            times[name] = {str(size): measured(url, texts, asked, size) for size in sizes}
            if name == "sqlite" and not arguments.sizes:
                crowd = in_a_crowd(BACKENDS[name].url(where, "crowd"), texts, asked)
        say(f"{name} measured")
    on = machine()
    core = metadata.version("buddy-memory-core")
    where_measured = f"{on['cpu']}, {on['system']}, Python {on['python']}, core {core}"
    found = {"on": where_measured, "recall": recall, "times": times, "crowd": crowd}
    found |= {"rows": len(texts), "users": len(conversations)}
    print(report(found))
    if not (arguments.backend or arguments.sizes):
        from benchmarks.plots import draw_search

        (HERE / "SEARCH.md").write_text(report(found))
        draw_search(HERE / "plots", found)
