"""Firestore against hand-written client code that does the same work, on the same test server.

    python benchmarks/bench_firestore.py [--sizes 1000,10000]

The server is the one of the tests, in Python: the ratios count requests and the client's share, and
say nothing about how fast Firestore itself is. FIRESTORE_EMULATOR_HOST names another one.
"""

from __future__ import annotations

import os
import time
from typing import Any

import scenario
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter
from measure import Result, machine, measure
from scenario import Row, cases, fill

from buddy.memory.v2.db.firestore import FirestoreMemoryDb

PROJECT = "bench"
TARGETS = dict.fromkeys(
    ("upsert, new row", "upsert, update", "memory_exists", "read_memory", "bulk", "delete_memory",
     "read_memories(user, limit=20)"),
    "≤ 1.3",
)  # fmt: skip


class ByHand:
    """One document for each row; an upsert is a transaction that checks owner and version."""

    def __init__(self, collection: str) -> None:
        self.client = firestore.Client(project=PROJECT)
        self.rows = self.client.collection(collection)

    def new(self, id: str, user: str, memory: dict[str, Any], version: int = 1) -> dict[str, Any]:
        order = time.time_ns() // 1000
        return {
            "id": id,
            "user_id": user,
            "memory": memory,
            "created_at": firestore.SERVER_TIMESTAMP,
            "version": version,
            "user_order": f"{user}/{order:020}",
        }

    def upsert(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        document = self.rows.document(id)

        @firestore.transactional
        def write(transaction: Any) -> None:
            found = document.get(transaction=transaction)
            if not found.exists:
                transaction.create(document, self.new(id, user, memory))
                return
            if found.get("user_id") != user:
                raise PermissionError(id)
            change = {"memory": memory, "version": found.get("version") + 1}
            transaction.update(document, change)

        return write(self.client.transaction())

    def upsert_many(self, rows: list[Row]) -> None:
        for start in range(0, len(rows), 500):
            batch = self.client.batch()
            for row in rows[start : start + 500]:
                batch.set(self.rows.document(row[0]), self.new(*row))
            batch.commit()

    def exists(self, id: str) -> bool:
        return bool(self.rows.document(id).get(field_paths=["version"]).exists)

    def get(self, id: str) -> Any:
        return self.rows.document(id).get().to_dict()

    def newest(self, user: str, limit: int) -> list[Any]:
        query = (
            self.rows.where(filter=FieldFilter("user_order", ">=", f"{user}/"))
            .where(filter=FieldFilter("user_order", "<", f"{user}0"))
            .order_by("user_order", direction=firestore.Query.DESCENDING)
            .limit(limit)
        )
        return [found.to_dict() for found in query.stream()]

    def delete(self, id: str) -> None:
        self.rows.document(id).delete()


def run(rows: int) -> list[Result]:
    """Measure beside so many rows."""
    for collection in (f"ours{rows}", f"hand{rows}"):
        with FirestoreMemoryDb(collection, project_id=PROJECT) as db:
            fill(db, rows)
    with FirestoreMemoryDb(f"ours{rows}", project_id=PROJECT) as ours:
        return measure(cases(ours, ByHand(f"hand{rows}"), rows, TARGETS, times=50), rounds=5)


def main() -> None:
    def where() -> str:
        return machine(google_cloud_firestore=firestore.__version__)

    if "FIRESTORE_EMULATOR_HOST" in os.environ:
        scenario.main(__doc__, where, run, "1000")
        return
    from tests.firestore_server.process import FirestoreServer

    with FirestoreServer() as server:
        os.environ["FIRESTORE_EMULATOR_HOST"] = server.address
        scenario.main(__doc__, where, run, "1000")


if __name__ == "__main__":
    main()
