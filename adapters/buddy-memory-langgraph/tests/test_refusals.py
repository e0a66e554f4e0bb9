"""What BuddyStore refuses: at once, with a reason in the caller's words, and before any write."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest
from langgraph.store.base import GetOp, ListNamespacesOp, Op, PutOp, SearchOp

from buddy.memory.errors import (
    ConfigError,
    InvalidMemoryError,
    UnavailableError,
    UnsupportedError,
)
from buddy.memory.v2.db.inmemory import InMemoryDb
from buddy_memory_langgraph import BuddyStore
from tests.core.eight_methods import EightMethodMemoryDb

LATER: list[tuple[Any, str]] = [
    (PutOp(("b",), "2", {"x": {1}}, ttl=5), "item.value.x"),
    (PutOp(("b",), "2", {"x": 1}, ttl=-1), "ttl must be a number of minutes.*not -1"),
    (PutOp(("b",), "2", {"x": 1}, ttl="5"), "ttl must be a number of minutes.*not '5'"),
    (PutOp(("b",), "2", {"x": 1}, ttl=float("inf")), "ttl must be a number of minutes.*not inf"),
    (PutOp(("b",), "2", {"x": 1}, ttl=1e10), "ttl must be .* before the year 9999"),
    (PutOp(("b",), "2", "text"), "item.value: must be a dict, not str"),
    (PutOp(("b",), "2", {"x": 1}, index="x"), "index must be a list of paths, not 'x'"),
    (PutOp(("b",), "2", {"x": 1}, index=[1]), "index must be a list of paths, with no 1"),
    (PutOp(("b",), "", None), "key: an id must not be empty"),
    (PutOp(("b", "\ud800"), "2", None), "namespace: must not contain a lone surrogate"),
    (GetOp(("b",), ""), "key: an id must not be empty"),
    (SearchOp(("b",), limit=-1), "limit must be an int >= 0, not -1"),
    (SearchOp(("b",), offset="1"), "offset must be an int >= 0, not '1'"),
    (ListNamespacesOp(limit=-1), "limit must be an int >= 0, not -1"),
    (ListNamespacesOp(offset=-1), "offset must be an int >= 0, not -1"),
    (ListNamespacesOp(max_depth=-1), "max_depth must be an int >= 0, not -1"),
    (SearchOp(("b",), filter={"v": {"$near": 1}}), "Unsupported operator: [$]near"),
]


def letters(texts: list[str]) -> list[list[float]]:
    """Embed texts by how often they have two letters."""
    return [[float(text.count(letter)) for letter in "ae"] for text in texts]


def test_whole_batch(url: str) -> None:
    """A batch of which an operation is refused stores nothing, with an index and without."""
    for index in (None, {"dims": 2, "embed": letters}):
        with BuddyStore(url, index=index) as store:
            for op, reason in LATER:
                with pytest.raises(ValueError, match=reason):
                    store.batch([PutOp(("b",), "1", {"x": 1}), op])
            assert store.search(()) == []


def test_model_is_not_asked() -> None:
    """What is refused costs no call of the model."""
    asked: list[str] = []

    def embed(texts: list[str]) -> list[list[float]]:
        asked.extend(texts)
        return letters(texts)

    with BuddyStore("memory://", index={"dims": 2, "embed": embed}) as store:
        for op, _ in LATER:
            with pytest.raises(ValueError):
                store.batch([PutOp(("b",), "1", {"x": 1}), op])
    assert asked == []


def test_deepest_value() -> None:
    """A value that is one level too deep for its row is refused with its batch."""
    deepest: Any = {}
    for _ in range(63):
        deepest = {"x": deepest}
    with BuddyStore("memory://") as store:
        with pytest.raises(InvalidMemoryError, match="nested deeper"):
            store.batch([PutOp(("b",), "1", {}), PutOp(("b",), "2", deepest, ttl=5)])
        assert store.get(("b",), "1") is None
        store.put(("b",), "2", deepest["x"])


class Breaking(InMemoryDb):
    """A database that is away after its first bulk write."""

    calls = 0

    def upsert_memories(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls > 1:
            raise UnavailableError("Breaking", "away")
        return super().upsert_memories(*args, **options)

    def delete_memories(self, *args: Any, **options: Any) -> Any:
        raise UnavailableError("Breaking", "away")


@pytest.mark.parametrize("second", [PutOp(("b",), "2", {}, ttl=5), PutOp(("b",), "2", None)])
def test_stored(second: Op) -> None:
    """An error in the middle of a batch tells what had been stored."""
    with Breaking() as db, pytest.raises(UnavailableError) as caught:
        BuddyStore(db).batch([PutOp(("b",), "1", {"x": 1}), second])
    assert caught.value.stored == (("langgraph/b/", "1"),)


def test_no_lifetimes() -> None:
    """A database where nothing expires refuses a lifetime before it writes, and a sweeper."""
    store = BuddyStore(EightMethodMemoryDb("refusals"))
    with pytest.raises(UnsupportedError, match="rows that end"):
        store.batch([PutOp(("b",), "1", {}), PutOp(("b",), "2", {}, ttl=5)])
    assert store.search(("b",)) == []
    with pytest.raises(UnsupportedError, match="rows that end"):
        store.start_ttl_sweeper()


WRONG_FILTERS: list[tuple[Any, str]] = [
    ("n", "filter must be a mapping, not str"),
    (["n"], "filter must be a mapping, not list"),
    ("", "filter must be a mapping, not str"),
    ({1: "x"}, "filter: a key must be a str, not 1"),
    ({"n": {1: "x"}}, "filter: a key must be a str, not 1"),
    ({"n": {"$eq": 5, "y": 2}}, "filter: Unsupported operator: y"),
    ({"n": [{"$near": 5}]}, "filter: Unsupported operator: [$]near"),
    ({"$gt": 5}, "filter: the operator [$]gt belongs below"),
    ({"n": {"$gt": [5]}}, "filter: [$]gt takes a number or a str"),
    ({"n": {"$lte": None}}, "filter: [$]lte takes a number or a str, not None"),
    ({"n": {5}}, "no item fits the filter: filter.value: set cannot be stored"),
]


@pytest.mark.parametrize(("wanted", "reason"), WRONG_FILTERS)
def test_filters(wanted: Any, reason: str) -> None:
    """A filter that fits nothing by its kind is an error and not an empty answer."""
    with BuddyStore("memory://") as store:
        store.put(("f",), "k", {"n": 5})
        with pytest.raises(ConfigError, match=reason):
            store.search(("f",), filter=wanted)
        with pytest.raises(ConfigError, match=reason):
            asyncio.run(store.asearch(("f",), filter=wanted))


def test_filter_values(url: str) -> None:
    """A filter takes whatever a value may hold, dates and tuples too, and infinity as a bound."""
    with BuddyStore(url) as store:
        store.put(("f",), "k", {"day": date(2026, 1, 2), "pair": (1, 2), "n": 5})
        for wanted in (
            {"day": date(2026, 1, 2)},
            {"day": {"$gt": date(2026, 1, 1)}},
            {"pair": (1, 2)},
            {"n": {"$lt": float("inf"), "$gt": -(10**30)}},
        ):
            assert [item.key for item in store.search(("f",), filter=wanted)] == ["k"], wanted


WRONG_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"ttl": 5}, "ttl must be a mapping, not 5"),
    ({"ttl": {"default_ttll": 5}}, "ttl has no 'default_ttll'; there are default_ttl"),
    ({"ttl": {"default_ttl": -5}}, r"ttl\['default_ttl'\] must be .* not -5"),
    ({"ttl": {"sweep_interval_minutes": 0}}, r"ttl\['sweep_interval_minutes'\] must be .* not 0"),
    ({"ttl": {"refresh_on_read": "no"}}, r"ttl\['refresh_on_read'\] must be a bool, not 'no'"),
    ({"index": [5]}, r"index must be a mapping, not \[5\]"),
    (
        {"index": {"dims": 2, "embed": letters, "distance_type": "l2"}},
        "index has no 'distance_type'; there are dims, embed, fields",
    ),
    (
        {"index": {"dims": "2", "embed": letters}},
        r"index\['dims'\] must be an int >= 0, not '2'",
    ),
    (
        {"index": {"dims": 2, "embed": letters, "fields": "text"}},
        r"index\['fields'\] must be a list of paths, not 'text'",
    ),
]


@pytest.mark.parametrize(("config", "reason"), WRONG_CONFIGS)
def test_configs(config: dict[str, Any], reason: str) -> None:
    """What a configuration has too much, or of a wrong type, is named."""
    with pytest.raises(ConfigError, match=reason):
        BuddyStore("memory://", **config)
