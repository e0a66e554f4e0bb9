"""R17, R18 and R20: search, and filters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from buddy.memory.storage.users import NOBODY
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import on_db


@on_db("R17-a-search-equals-the-reference")
class WorstFirst(StoreBackedMemoryDb):
    def search_memories(self, query: Any = None, **options: Any) -> Any:
        return super().search_memories(query, **options)[::-1]


@on_db("R17-other-users-move-no-score")
class CountsTheRowsOfAll(StoreBackedMemoryDb):
    def search_memories(self, query: Any = None, **options: Any) -> Any:
        found = super().search_memories(query, **options)
        share = 1 / self.count_memories()
        return [replace(one, score=(one.score or 0) * share) for one in found]


@on_db("R17-a-search-is-about-one-user")
class TakesNoneForNobody(StoreBackedMemoryDb):
    def search_memories(self, query: Any = None, *, user_id: Any, **options: Any) -> Any:
        user = NOBODY if user_id is None else user_id
        return super().search_memories(query, user_id=user, **options)


@on_db("R18-a-search-sees-what-was-acknowledged")
class KeepsAnswers(StoreBackedMemoryDb):
    def search_memories(self, query: Any = None, *, user_id: Any, **options: Any) -> Any:
        answers = vars(self).setdefault("_answers", {})
        count = self.count_memories(user_id)
        if (query, count) not in answers:
            found = super().search_memories(query, user_id=user_id, **options)
            answers[query, count] = found
        return answers[query, count]


@on_db("R20-a-filter-means-the-same-everywhere")
class CountsEverything(StoreBackedMemoryDb):
    def count_memories(self, user_id: Any = None, *, where: Any = None, **options: Any) -> int:
        return super().count_memories(user_id, **options)
