"""The limit for Firestore: its client by hand, one document for each row.

An upsert is a transaction that counts the version: two requests.
"""

from __future__ import annotations

import time
from typing import Any

from google.cloud import firestore
from google.cloud.firestore_v1.base_query import FieldFilter

from benchmarks.sides import PAGE, Row, chunks

DESCENDING, NOW = firestore.Query.DESCENDING, firestore.SERVER_TIMESTAMP


class Limit:
    """One collection on one client."""

    name = "by hand"
    store = "limit"
    asynchronous = False

    def __init__(self, where: str, name: str) -> None:
        self.collection = name

    def open(self) -> None:
        self.client: Any = firestore.Client(project="bench")
        self.rows = self.client.collection(self.collection)

    def create(self) -> None:
        """Collections make themselves."""

    def document(self, id: str, user: str) -> Any:
        return self.rows.document(f"{user}:{id}")

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        document = self.document(id, user)

        @firestore.transactional
        def write(transaction: Any) -> None:
            found = document.get(transaction=transaction)
            apply(transaction, document, found, id, user, memory)

        return write(self.client.transaction())

    def put_many(self, rows: list[Row]) -> None:
        for some in chunks(rows, 500):
            self.batch(some).commit()

    def batch(self, rows: list[Row]) -> Any:
        batch = self.client.batch()
        for id, user, memory in rows:
            batch.set(self.document(id, user), new(id, user, memory))
        return batch

    def exists(self, id: str, user: str) -> Any:
        return self.document(id, user).get(field_paths=["version"]).exists

    def get(self, id: str, user: str) -> Any:
        return self.document(id, user).get().to_dict()

    def of(self, user: str | None) -> Any:
        if user is None:
            return self.rows.order_by("order", direction=DESCENDING)
        ordered = self.rows.order_by("user_order", direction=DESCENDING)
        mine = ordered.where(filter=FieldFilter("user_order", ">=", f"{user}/"))
        return mine.where(filter=FieldFilter("user_order", "<", f"{user}0"))

    def newest(self, user: str, limit: int) -> Any:
        return [found.to_dict() for found in self.of(user).limit(limit).stream()]

    def page(self, user: str | None) -> Any:
        found, query = 0, self.of(user).limit(PAGE)
        while rows := list(query.stream()):
            found += len([row.to_dict() for row in rows])
            query = self.of(user).limit(PAGE).start_after(rows[-1])
        return found

    def delete(self, id: str, user: str) -> Any:
        return self.document(id, user).delete()

    def close(self) -> Any:
        return self.client.close()


class LimitAsync(Limit):
    """The same requests, awaited."""

    name = "by hand, async"
    asynchronous = True

    async def open(self) -> None:  # type: ignore[override]
        self.client = firestore.AsyncClient(project="bench")
        self.rows = self.client.collection(self.collection)

    def put(self, id: str, user: str, memory: dict[str, Any]) -> Any:
        document = self.document(id, user)

        @firestore.async_transactional
        async def write(transaction: Any) -> None:
            found = await document.get(transaction=transaction)
            apply(transaction, document, found, id, user, memory)

        return write(self.client.transaction())

    async def put_many(self, rows: list[Row]) -> None:  # type: ignore[override]
        for some in chunks(rows, 500):
            await self.batch(some).commit()

    async def exists(self, id: str, user: str) -> Any:
        return (await self.document(id, user).get(field_paths=["version"])).exists

    async def get(self, id: str, user: str) -> Any:
        return (await self.document(id, user).get()).to_dict()

    async def newest(self, user: str, limit: int) -> Any:
        return [found.to_dict() async for found in self.of(user).limit(limit).stream()]

    async def page(self, user: str | None) -> Any:
        found, query = 0, self.of(user).limit(PAGE)
        while rows := [row async for row in query.stream()]:
            found += len([row.to_dict() for row in rows])
            query = self.of(user).limit(PAGE).start_after(rows[-1])
        return found

    async def close(self) -> None:
        self.client.close()


def apply(
    transaction: Any, document: Any, found: Any, id: str, user: str, memory: dict[str, Any]
) -> None:
    if not found.exists:
        transaction.create(document, new(id, user, memory))
        return
    changed = {"memory": memory, "version": found.get("version") + 1, "updated_at": NOW}
    transaction.update(document, changed)


def new(id: str, user: str, memory: dict[str, Any]) -> dict[str, Any]:
    order = time.time_ns() // 1000
    return {
        "id": id,
        "user_id": user,
        "memory": memory,
        "created_at": NOW,
        "updated_at": NOW,
        "version": 1,
        "order": order,
        "user_order": f"{user}/{order:020}",
    }


SIDES = [Limit, LimitAsync]
