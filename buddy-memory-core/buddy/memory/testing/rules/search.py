"""R17, R18 and R20: search, and filters."""

from __future__ import annotations

from random import Random
from typing import Any

from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.rows import MemoryRow
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.request import SearchRequest, parse
from buddy.memory.search.searching import search_records
from buddy.memory.storage.record import Kind, Record
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Trial
from buddy.memory.testing.check import check

WORDS = [
    *("tea", "coffee", "hazelnuts", "allergy", "allergic", "car", "cars", "train", "Lisbon"),
    *("Café", "cafe", "likes", "drives", "Ann", "rain", "東京", "寿司", "แมว"),
]


def found(trial: Trial, query: str | None, user_id: Any = "ann", **options: Any) -> list[Any]:
    """Return what a search returns, as comparable facts."""
    results = trial.db.search_memories(query, user_id=user_id, **options)
    return [(r.row.id, r.score, r.keyword, r.matched, r.row.memory) for r in results]


def expected(trial: Trial, request: SearchRequest, user_id: str = "ann") -> list[Any]:
    """Return what it has to return, by the reference in core over all of the user's rows."""
    records = [
        Record(Kind.MEMORY, user_id, row.id, row.memory, row.created_at, row.last_updated)
        for row in map(_as_v2, trial.db.read_memories(user_id=user_id, sort="asc"))
    ]
    return [
        (r.id, hit and hit.score, hit and hit.keyword, hit.matched if hit else (), r.payload)
        for r, hit in search_records(records, request, None, SearchOptions())
    ]


def _as_v2(row: Any) -> Any:
    if not hasattr(row, "last_updated"):
        row.last_updated = row.updated_at
    return row


def remember(trial: Trial, id: str, text: str, user_id: str = "ann", **payload: Any) -> None:
    """Store a memory."""
    trial.db.upsert_memory(MemoryRow({"memory": text, **payload}, id, user_id))


@check("R17")
def a_search_equals_the_reference(trial: Trial) -> None:
    """After random writes and deletions, ids, scores and order are those of the reference."""
    random = Random(17)  # noqa: S311  (no secret)
    for _ in range(12):
        for _ in range(random.randint(1, 3)):
            id = str(random.randrange(12))
            if random.random() < 0.25:
                trial.db.delete_memory(id, user_id="ann")
            else:
                words = " ".join(random.choices(WORDS, k=random.randint(1, 6)))
                remember(trial, id, words, n=random.randrange(3))
        query = " ".join(random.choices(WORDS, k=2))
        options: dict[str, Any] = {
            "where": random.choice([None, {"n": {"$gte": 1}}]),
            "limit": random.choice([1, 3, 50]),
            "offset": random.choice([0, 2]),
            "threshold": random.choice([None, 0.3]),
            "neighbours": random.choice([0, 2]),
        }
        for asked in (query, None):
            request = parse(asked, method="keyword", **options)
            assert found(trial, asked, **options) == expected(trial, request), (asked, options)


@check("R17")
def other_users_move_no_score(trial: Trial) -> None:
    """Rows of other users, with the same ids and words, are not found and change no score."""
    for n, text in enumerate(("likes tea", "drives a car", "likes the rain")):
        remember(trial, str(n), text)
    before = found(trial, "likes tea")
    assert [id for id, *_ in before] == ["0", "2"]
    for user in ("", "anna", "bob"):
        for n in range(9):
            remember(trial, str(n), "likes tea and tea", user)
    assert found(trial, "likes tea") == before


@check("R17")
def a_search_is_about_one_user(trial: Trial) -> None:
    """Everybody is refused, as by ``delete_user``, and wrong arguments are named."""
    raises(InvalidMemoryError, trial.db.search_memories, "tea", user_id=None)
    for name, wrong in (
        ("method", "magic"),
        ("limit", -1),
        ("offset", 1.0),
        ("threshold", float("nan")),
        ("neighbours", True),
        ("where", {"a": {"$like": 1}}),
    ):
        error = raises(ConfigError, trial.db.search_memories, "tea", user_id="ann", **{name: wrong})
        assert name in str(error), error
    for query in ('"', "*", "OR", "%", "\0", "x" * 100_000):
        assert found(trial, query) == []


@check("R18")
def a_search_sees_what_was_acknowledged(trial: Trial) -> None:
    """Each search sees every write, change and deletion before it, also by another object."""
    other = trial.open()
    assert found(trial, "tea") == []
    remember(trial, "1", "likes tea")
    assert [id for id, *_ in found(trial, "tea")] == ["1"]
    other.upsert_memory(MemoryRow({"memory": "likes coffee"}, "1", "ann"))
    assert found(trial, "tea") == []
    assert [id for id, *_ in found(trial, "coffee")] == ["1"]
    # The newest is deleted and another one written: as many rows, and another one.
    trial.db.delete_memory("1", user_id="ann")
    other.upsert_memory(MemoryRow({"memory": "likes tea"}, "2", "ann"))
    assert found(trial, "coffee") == []
    assert [id for id, *_ in found(trial, "tea")] == ["2"]
    trial.db.delete_user("ann")
    assert found(trial, "tea") == []
    remember(trial, "3", "likes tea")
    trial.db.clear()
    assert found(trial, "tea") == []


PAYLOADS: dict[str, dict[str, Any]] = {
    "number": {"v": 1},
    "float": {"v": 1.5},
    "true": {"v": True},
    "text": {"v": "1"},
    "null": {"v": None},
    "list": {"v": ["a", 1]},
    "object": {"v": {"a": 1}},
    "missing": {"w": 1},
}

CONDITIONS: tuple[tuple[Any, set[str]], ...] = (
    (1, {"number"}),
    (1.0, {"number"}),
    (True, {"true"}),
    (None, {"null"}),
    ({"a": 1}, {"object"}),
    ({"$ne": 1}, set(PAYLOADS) - {"number"}),
    ({"$gt": 1}, {"float"}),
    ({"$lte": "1"}, {"text"}),
    ({"$in": [1, "1"]}, {"number", "text"}),
    ({"$nin": [1, None]}, set(PAYLOADS) - {"number", "null"}),
    ({"$contains": "a"}, {"list"}),
    ({"$exists": False}, {"missing"}),
)


@check("R20")
def a_filter_means_the_same_everywhere(trial: Trial) -> None:
    """A filter selects the same rows in pages, iterations, counts and searches, types strictly."""
    for id, payload in PAYLOADS.items():
        remember(trial, id, "tea", **payload)
    db = trial.db
    for value, ids in CONDITIONS:
        where = {"v": value}
        assert db.count_memories("ann", where=where) == len(ids), where
        assert {row.id for row in db.iter_memories("ann", where=where)} == ids, where
        assert {row.id for row in db.page_memories("ann", where=where).rows} == ids, where
        assert {id for id, *_ in found(trial, "tea", where=where)} == ids, where
        page = db.page_memories("ann", where=where, limit=1)
        assert (page.next is None) == (len(ids) <= 1), where
        if page.next:
            raises(ConfigError, db.page_memories, "ann", limit=1, after=page.next)
    assert db.count_memories("ann", where={("v", "a"): 1}) == 1


@check("R20")
def a_filter_compares_large_numbers_exactly(trial: Trial) -> None:
    """Integers beyond those that a double holds are equal to themselves only, and ordered."""
    large = [2**53, 2**53 + 1, 2**53 + 2, 2**63 - 2, 2**63 - 1]
    for value in large:
        remember(trial, str(value), "tea", v=value, l=[value])
    db = trial.db
    for at, value in enumerate(large):
        for where, ids in (
            ({"v": value}, large[at : at + 1]),
            ({"v": {"$in": [value]}}, large[at : at + 1]),
            ({"l": {"$contains": value}}, large[at : at + 1]),
            ({"v": {"$gt": value}}, large[at + 1 :]),
            ({"v": {"$lte": value}}, large[: at + 1]),
        ):
            assert db.count_memories("ann", where=where) == len(ids), where
            assert {int(row.id) for row in db.iter_memories("ann", where=where)} == {*ids}, where
            assert {int(row.id) for row in db.page_memories("ann", where=where).rows} == {*ids}
            assert {int(id) for id, *_ in found(trial, "tea", where=where)} == {*ids}, where
