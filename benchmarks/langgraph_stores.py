"""Measure BuddyStore beside LangGraph's own stores: ``./run bench langgraph``.

    ./run bench langgraph [--items 10000] [--namespaces 400] [--rounds 15]

Both sides are filled with the same items on SQLite and on PostgreSQL, and each operation is timed
in rounds that alternate between them; a time is the median of the rounds. Prints a table, and
writes nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from langgraph.store.base import GetOp, PutOp
from langgraph.store.postgres import PostgresStore
from langgraph.store.sqlite import SqliteStore

from buddy_memory_langgraph import BuddyStore
from tests.servers.postgres import PostgresServer

Sides = dict[str, Any]


def namespace(number: int, namespaces: int) -> tuple[str, ...]:
    """Return the namespace of an item; a hundredth of them share the first label."""
    of = number % namespaces
    return ("memories", f"tenant{of % 100}", f"user{of}")


def fill(store: Any, items: int, namespaces: int) -> None:
    """Put all items, a thousand in a batch."""
    for start in range(0, items, 1000):
        store.batch(
            [
                PutOp(
                    namespace(number, namespaces),
                    f"key{number}",
                    {"text": f"Fact {number}", "kind": number % 10, "rare": number % 997 == 0},
                )
                for number in range(start, min(start + 1000, items))
            ]
        )


def operations(items: int, namespaces: int) -> dict[str, Callable[[Any, int], object]]:
    """Return the operations by name; each takes a store and the number of its round."""

    def where(round: int) -> tuple[str, ...]:
        return namespace(round * 37, namespaces)

    def gets(round: int) -> list[GetOp]:
        first = round * 37 % items
        same = range(first, first + 100 * namespaces, namespaces)
        return [GetOp(namespace(n, namespaces), f"key{n % items}") for n in same]

    return {
        "get": lambda store, r: store.get(where(r), f"key{r * 37 % items}"),
        "100 gets of one namespace in a batch": lambda store, r: store.batch(gets(r)),
        "put": lambda store, r: store.put(where(r), f"new{r}", {"text": "New", "kind": 1}),
        "search of one namespace": lambda store, r: store.search(where(r), limit=10),
        "search below a prefix": lambda store, r: store.search(where(r)[:2], limit=10),
        "filter in one namespace": lambda store, r: store.search(
            where(r), filter={"kind": r * 37 % 10}, limit=10
        ),
        "filter below a prefix": lambda store, r: store.search(
            where(r)[:2], filter={"rare": True}, limit=10
        ),
        "list namespaces below a prefix": lambda store, r: store.list_namespaces(
            prefix=where(r)[:2]
        ),
        "list all namespaces": lambda store, r: store.list_namespaces(limit=100),
    }


@contextmanager
def sqlite() -> Iterator[Sides]:
    """Both stores on SQLite, each in a file of its own."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        theirs = stack.enter_context(SqliteStore.from_conn_string(str(Path(folder) / "theirs.db")))
        theirs.setup()
        ours = stack.enter_context(BuddyStore(f"sqlite:///{folder}/ours.db"))
        yield {"LangGraph": theirs, "BuddyStore": ours}


@contextmanager
def postgres() -> Iterator[Sides]:
    """Both stores on one PostgreSQL server."""
    server = PostgresServer()
    try:
        with ExitStack() as stack:
            theirs = stack.enter_context(PostgresStore.from_conn_string(server.url()))
            theirs.setup()
            url = f"{server.url()}?table_name=ours&schema=ours"
            yield {"LangGraph": theirs, "BuddyStore": stack.enter_context(BuddyStore(url))}
    finally:
        server.stop()


def timed(call: Callable[[Any, int], object], sides: Sides, rounds: int) -> dict[str, float]:
    """Return the median time of each side, in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round in range(rounds):
        for name, store in sides.items():
            before = perf_counter()
            call(store, round)
            times[name].append((perf_counter() - before) * 1000)
    return {name: median(some) for name, some in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench langgraph")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--namespaces", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(f"{options.items:,} items in {options.namespaces:,} namespaces; ms, and ours to theirs\n")
    print("| | operation | LangGraph | BuddyStore | ratio |\n|---|---|--:|--:|--:|")
    for name, opened in {"SQLite": sqlite, "PostgreSQL": postgres}.items():
        with opened() as sides:
            for store in sides.values():
                fill(store, options.items, options.namespaces)
            for what, call in operations(options.items, options.namespaces).items():
                took = timed(call, sides, options.rounds)
                theirs, ours = took["LangGraph"], took["BuddyStore"]
                print(f"| {name} | {what} | {theirs:.3f} | {ours:.3f} | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()
