"""Two servers, written apart, give the same answers to the same operations.

The second opinion is npm's @firestore-emulator/server, for the subset that it supports; it has no
cursors, real transactions, listings of documents, nor preconditions other than ``exists``, its
``set`` without a mask merges, and it does not sort by name when no order is asked for (the results
of such queries are compared as sets). conftest.py leaves this file out where it is not installed:

    npm install --prefix FOLDER @firestore-emulator/server@0.3.15
    BUDDY_TEST_FIRESTORE_NPM=FOLDER ./run test tests/firestore/test_agreement.py
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.cloud import firestore

from tests.firestore_server.process import FirestoreServer

Filter = firestore.FieldFilter
SCRIPT = Path(__file__).parents[1] / "firestore_server" / "second_opinion.js"
VALUES: dict[str, Any] = {
    "none": None,
    "bools": [True, False],
    "ints": [0, -1, 2**53 - 1],  # It holds integers as JavaScript does.
    "floats": [0.5, 1e300, -0.25],
    "text": ["", "é", "🦉", "a/b"],
    "bytes": b"\x00\xff",
    "time": datetime(2026, 1, 2, 3, 4, 5, 678000, timezone.utc),
    "map": {"a": {"b": {"c": [1, {"d": 2}]}}},
    "empty": {"list": [], "map": {}},
}


@pytest.fixture(scope="module")
def other_address() -> Iterator[str]:
    command = ["node", str(SCRIPT), os.environ["BUDDY_TEST_FIRESTORE_NPM"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().decode().strip()
        process.stdin.close()


def fill(col: Any) -> None:
    for n, id in enumerate(("d", "a", "c", "b", "e")):
        col.document(id).create({"n": n, "even": n % 2 == 0, "tags": [id, "x"], "m": {"k": -n}})


def found(query: Any) -> Any:
    rows = [(document.id, document.to_dict()) for document in query.stream(retry=None)]
    return rows if query._orders else sorted(rows, key=lambda row: str(row[0]))


def after(write: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Do a write on filled documents, and show everything afterwards."""

    def run(col: Any) -> Any:
        fill(col)
        write(col)
        return found(col.limit(100))

    return run


def query(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(col: Any) -> Any:
        fill(col)
        return found(make(col))

    return run


def batch(col: Any) -> None:
    writes = col._client.batch()
    writes.create(col.document("new"), {"x": 1})
    writes.update(col.document("a"), {"n": 9})
    writes.delete(col.document("b"))
    writes.commit(retry=None)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "every value": after(lambda col: col.document("v").create(VALUES)),
    "get": query(lambda col: col.where(filter=Filter("n", "==", 3))),
    "get missing": lambda col: col.document("none").get().exists,
    "create twice": after(lambda col: col.document("a").create({}, retry=None)),
    "update": after(lambda col: col.document("a").update({"n": 7, "m.k": 8})),
    "update missing": after(lambda col: col.document("none").update({"n": 7}, retry=None)),
    "delete": after(lambda col: col.document("a").delete()),
    "delete missing": after(lambda col: col.document("none").delete()),
    "merge": after(lambda col: col.document("a").set({"m": {"new": 1}}, merge=True)),
    "batch": after(batch),
    "increment": after(lambda col: col.document("a").update({"n": firestore.Increment(5)})),
    "union": after(lambda col: col.document("a").update({"tags": firestore.ArrayUnion(["y"])})),
    "removal": after(lambda col: col.document("a").update({"tags": firestore.ArrayRemove(["x"])})),
    "all": query(lambda col: col.limit(100)),
    "equality": query(lambda col: col.where(filter=Filter("even", "==", True))),
    "range": query(lambda col: col.where(filter=Filter("n", ">=", 1)).order_by("n")),
    "range below": query(lambda col: col.where(filter=Filter("n", "<", 3)).order_by("n")),
    "ascending": query(lambda col: col.order_by("n")),
    "descending": query(lambda col: col.order_by("n", direction="DESCENDING")),
    "limit": query(lambda col: col.order_by("n").limit(2)),
    "in": query(lambda col: col.where(filter=Filter("n", "in", [0, 3]))),
    "array contains": query(lambda col: col.where(filter=Filter("tags", "array_contains", "a"))),
}


def outcome(address: str, collection: str, operation: Callable[[Any], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", address)
        client = firestore.Client(project="agreement")
    try:
        return operation(client.collection(collection))
    except api.GoogleAPICallError as error:
        return type(error)
    finally:
        client._firestore_api.transport.close()


@pytest.mark.parametrize("name", OPERATIONS)
def test_both_servers_agree(
    server: FirestoreServer, other_address: str, collection: str, name: str
) -> None:
    """The strict server and the independent one answer alike, results and errors."""
    operation = OPERATIONS[name]
    ours = outcome(server.address, collection, operation)
    assert ours == outcome(other_address, collection, operation)
