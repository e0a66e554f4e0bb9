"""Embedders and vectors: what is stored, what is compared, and what happens when a model fails."""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from buddy.memory import Embedder, MemoryRow, open_async_memory_db, open_memory_db, plugins
from buddy.memory.errors import ConfigError, EmbeddingError, UnsupportedError
from buddy.memory.hookspecs import hookimpl
from buddy.memory.search.reindexing import reindex
from buddy.memory.search.vectors import VectorIndex, pack, quantize, tag_of, unpack
from tests.core.eight_methods import EightMethodMemoryDb

TOPICS = ("tea", "car", "rain")


def by_topic(texts: list[str]) -> list[list[float]]:
    """A model that knows three topics, and a word for each that shares no letters with it."""
    also = {"tea": "brew", "car": "vehicle", "rain": "weather"}
    return [
        [0.1 + (topic in text.lower()) + (also[topic] in text.lower()) for topic in TOPICS]
        for text in texts
    ]


EMBEDDER = Embedder(by_topic, model="topics")


@pytest.fixture(params=["memory://", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store in memory, and a file."""
    return f"sqlite:///{tmp_path}/memory.db" if request.param == "sqlite" else request.param


@pytest.fixture
def db(url: str) -> Iterator[Any]:
    """A database with an embedder and three memories."""
    with open_memory_db(url, embedder=EMBEDDER) as db:
        for id, text in zip("123", ("A brew at five", "A red vehicle", "Bad weather"), strict=True):
            db.upsert_memory(MemoryRow({"memory": text}, id, "ann"))
        yield db


def found(db: Any, query: str, **options: Any) -> list[str]:
    return [one.row.id for one in db.search_memories(query, user_id="ann", **options)]


def test_meaning_is_found_without_a_shared_word(db: Any) -> None:
    """Semantic search finds by vectors; hybrid by both, and says what each gave."""
    assert found(db, "tea", method="keyword") == []
    assert found(db, "tea", method="semantic", limit=1) == ["1"]
    (best,) = db.search_memories("car red", user_id="ann", method="hybrid", limit=1)
    assert best.row.id == "2"
    assert best.matched == ("red",)
    assert best.score == pytest.approx(0.7 * best.keyword + 0.3 * best.cosine, abs=2e-6)


def test_an_asynchronous_database_and_function(url: str) -> None:
    """The function may be asynchronous, on an asynchronous database and on a synchronous one."""

    async def fn(texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return by_topic(texts)

    async def main() -> list[str]:
        async with open_async_memory_db(url, embedder=Embedder(fn, "topics")) as db:
            await db.upsert_memories([MemoryRow({"memory": "A brew"}, "1", "ann")])
            results = await db.search_memories("tea", user_id="ann", method="semantic")
            return [one.row.id for one in results]

    assert asyncio.run(main()) == ["1"]
    with open_memory_db("memory://", embedder=Embedder(fn, "topics")) as db:
        db.upsert_memory(MemoryRow({"memory": "A brew"}, "1", "ann"))
        assert found(db, "tea", method="semantic") == ["1"]


def raising(texts: list[str]) -> Any:
    raise RuntimeError("no model today")


HANG = Event()


def hanging(texts: list[str]) -> Any:
    HANG.wait(60)


FAILURES: dict[str, Callable[[list[str]], Any]] = {
    "raises": raising,
    "hangs": hanging,
    "returns too few": lambda texts: by_topic(texts)[1:],
    "returns NaN": lambda texts: [[float("nan")] * 3 for _ in texts],
    "returns other lengths": lambda texts: [[1.0] * (n + 1) for n, _ in enumerate([*texts, 1])],
    "returns nothing": lambda texts: None,
    "returns zeros": lambda texts: [[0.0] * 3 for _ in texts],
}


@pytest.mark.parametrize("fn", FAILURES.values(), ids=FAILURES)
def test_a_failing_embedder_loses_no_row(
    url: str, fn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The row is stored without a vector, with a warning, or not at all where that was asked for;
    a failing query raises and is no empty answer."""
    failing = Embedder(fn, "topics", timeout=0.2)
    with open_memory_db(url, embedder=failing) as db:
        with caplog.at_level(logging.WARNING, "buddy.memory"):
            db.upsert_memory(MemoryRow({"memory": "A brew"}, "1", "ann"))
        assert "stored without a vector: '1'" in caplog.text
        assert found(db, "brew") == ["1"]
        with pytest.raises(EmbeddingError):
            found(db, "tea", method="semantic")
        db.configure_search(embedder=failing, on_embed_error="raise")
        with pytest.raises(EmbeddingError):
            db.upsert_memory(MemoryRow({"memory": "A car"}, "2", "ann"))
        assert db.count_memories() == 1


def test_vectors_of_another_model_are_not_compared(
    db: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With another model the rows have no vectors: an error says so, and reindex gives them."""
    version = db.read_memory("1", user_id="ann").version
    other = Embedder(by_topic, "other model")
    db.configure_search(embedder=other)
    with pytest.raises(EmbeddingError, match="reindex"):
        found(db, "tea", method="semantic")
    db.upsert_memory(MemoryRow({"memory": "Tea again"}, "4", "ann"))
    with caplog.at_level(logging.WARNING, "buddy.memory"):
        assert found(db, "tea", method="semantic") == ["4"]
    assert "3 rows have no vector" in caplog.text
    assert (result := reindex(db, other)).written == 3
    assert (result.same, result.rows) == (1, 4)
    assert reindex(db, other).same == 4
    assert set(found(db, "tea", method="semantic", limit=2)) == {"1", "4"}
    assert db.read_memory("1", user_id="ann").version == version


def test_a_write_without_an_embedder_removes_the_vector(db: Any) -> None:
    """A vector is never of an older text."""
    db.configure_search()
    db.upsert_memory(MemoryRow({"memory": "A vehicle"}, "1", "ann"))
    db.configure_search(embedder=EMBEDDER)
    assert "1" not in found(db, "tea", method="semantic")


def test_what_has_no_embedder_or_no_vectors_says_so() -> None:
    """Without an embedder it is a ConfigError, without vectors UnsupportedError."""
    with pytest.raises(ConfigError, match="needs an embedder"):
        found(open_memory_db("memory://"), "tea", method="hybrid")
    with pytest.raises(UnsupportedError, match="vectors"):
        found(EightMethodMemoryDb("no vectors"), "tea", method="semantic")


@pytest.mark.parametrize(
    "options",
    [
        {"embedder": by_topic},
        {"language": "klingon"},
        {"text": 3},
        {"on_embed_error": "ignore"},
        {"search_max_rows": 0},
    ],
)
def test_wrong_options_are_errors(options: Any) -> None:
    """A wrong option of search is a ConfigError when the database is opened."""
    with pytest.raises(ConfigError):
        open_memory_db("memory://", **options)


def test_options_of_a_url() -> None:
    """Language and greatest number of rows may stand in the URL."""
    with open_memory_db("sqlite://?language=german&search_max_rows=1") as db:
        db.upsert_memory(MemoryRow({"memory": "Häuser"}, "1", "ann"))
        assert found(db, "Haus") == ["1"]
        db.upsert_memory(MemoryRow({"memory": "Haus"}, "2", "ann"))
        with pytest.raises(UnsupportedError, match="1 rows"):
            found(db, "Haus")


def test_a_database_with_a_function_that_has_no_name_is_not_pickled(tmp_path: Path) -> None:
    """An embedder of a module is pickled with its database, one of a lambda is refused."""
    url = f"sqlite:///{tmp_path}/memory.db"
    with open_memory_db(url, embedder=EMBEDDER) as db:
        db.upsert_memory(MemoryRow({"memory": "A brew"}, "1", "ann"))
        with pickle.loads(pickle.dumps(db)) as again:  # noqa: S301  (made in this line)
            assert found(again, "tea", method="semantic") == ["1"]
        db.configure_search(embedder=Embedder(lambda texts: by_topic(texts), "topics"))
        with pytest.raises(TypeError, match="cannot be pickled: its embedder"):
            pickle.dumps(db)


class Sealed:
    @hookimpl
    def buddy_memory_before_write(self, record: Any) -> Any:
        return record


def test_vectors_are_refused_beside_a_transform() -> None:
    """A plugin that hides payloads keeps no vectors beside them, which would tell the text."""
    plugin = Sealed()
    plugins.register(plugin)
    try:
        with pytest.raises(ConfigError, match="would reveal"):
            open_memory_db("memory://", embedder=EMBEDDER)
    finally:
        plugins.unregister(plugin)


def test_vectors_are_stored_as_bytes_of_one_tag() -> None:
    """A stored vector is a tag and signed bytes; others' tags and odd lengths are no vectors."""
    tag = tag_of("m", 3)
    stored = pack(tag, [quantize([1, -0.5, 0]), quantize([0, 0, 2])])
    assert stored == tag + bytes([127, 256 - 64, 0, 0, 0, 127])
    assert len(unpack(stored, tag, 3)) == 2
    for other in (None, b"", stored[:-1], tag_of("n", 3) + stored[8:]):
        assert unpack(other, tag, 3) == []


def test_a_row_is_as_near_as_its_nearest_vector() -> None:
    """Of several vectors of a row the nearest counts; removed rows do not."""
    tag = tag_of("m", 2)
    index = VectorIndex(tag, 2)
    index.add(1, pack(tag, [quantize([1, 0]), quantize([0, 1])]))
    index.add(2, pack(tag, [quantize([1, 1])]))
    assert index.cosines(quantize([0, 5])) == {1: 1.0, 2: pytest.approx(0.7071, abs=1e-4)}
    index.remove(1)
    assert index.cosines(quantize([0, 5])).keys() == {2}
