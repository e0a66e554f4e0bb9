"""The rows of one user in the process: terms, vectors, stamps and their order.

The index is a cache. It is worth something only beside the change mark that it was made for: equal
marks mean equal rows (rule R18).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from buddy.memory.search import ranking
from buddy.memory.search.keyword_index import KeywordIndex
from buddy.memory.search.ranking import Scores
from buddy.memory.search.request import SearchRequest
from buddy.memory.search.vectors import VectorIndex
from buddy.memory.search.words import Analyzer, Query
from buddy.memory.storage.record import Record

NO_WORDS = Query((), {})
NextMark = Callable[[str, "int | None", "int | None"], "str | None"]
"""From a change mark to the one after a row's stamp was replaced (None: no row); None where that
cannot be told."""


class QueryVector(NamedTuple):
    """The vector of a query, and the tag of the vectors that it may be compared with."""

    tag: bytes
    vector: array[int]


class Hit(NamedTuple):
    """A row that was found: its id, the stamp of the state that was ranked, and why."""

    id: str
    stamp: int | None
    score: float
    keyword: float | None
    cosine: float | None
    matched: tuple[str, ...]


class _Entry(NamedTuple):
    """``number`` names one state of a row: a changed row gets another one. ``place`` orders rows by
    first writing."""

    id: str
    number: int
    place: int
    vector: bytes | None


_ABSENT = object()


class UserIndex:
    """What search knows of one user's rows. Safe to use from many threads."""

    def __init__(self, analyzer: Analyzer, texts: Callable[[Record], list[str]]) -> None:
        self._lock = Lock()
        self.mark: str | None = None
        self._analyzer, self._texts = analyzer, texts
        self._keywords = KeywordIndex()
        self._vectors: VectorIndex | None = None
        self._entries: dict[str, _Entry] = {}
        self._stamps: dict[str, int | None] = {}
        self._by_number: dict[int, _Entry] = {}
        self._order: list[tuple[int, int]] = []  # place and number, of all rows
        self._next = 0
        self._vector_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return (
            600 * len(self._entries)
            + self._vector_bytes
            + self._keywords.size
            + (self._vectors.size if self._vectors else 0)
        )

    # --- changing

    def outdated(self, stamps: Iterable[tuple[str, int | None]]) -> list[str]:
        """Return the ids of rows that are not here in the state of that stamp."""
        with self._lock:
            return self._differing(stamps)

    def _differing(self, stamps: Iterable[tuple[str, int | None]]) -> list[str]:
        stamp_of = self._stamps.get
        return [id for id, stamp in stamps if stamp_of(id, _ABSENT) != stamp]

    def replace(
        self,
        stamps: Sequence[tuple[str, int | None]],
        changed: Mapping[str, Record],
        mark: str | None,
    ) -> bool:
        """Hold exactly the rows of ``stamps``, which are in the order of first writing, as the
        rows that ``mark`` stands for.

        ``changed`` has those that were not here, or in another state; False when that is no longer
        all. A row that is neither here nor there cannot be read, and is left out.
        """
        with self._lock:
            differing = self._differing(stamps)
            known = [id for id in differing if id in self._entries]
            if any(id not in changed for id in known):
                self.mark = None
                return False
            if len(stamps) - len(differing) + len(known) < len(self._entries):
                for id in self._entries.keys() - dict(stamps).keys():
                    self._drop(self._entries[id])
            for id in differing:
                if id in changed:
                    self._put(changed[id])
            if known or stamps[len(stamps) - len(differing) :] != self._last(len(differing)):
                self._order_as([id for id, _ in stamps])
            self.mark = mark
            return True

    def _last(self, count: int) -> list[tuple[str, int | None]]:
        """Return ids and stamps of the last rows in the order."""
        last = self._order[len(self._order) - count :]
        return [(id, self._stamps[id]) for id in (self._by_number[n].id for _, n in last)]

    def _order_as(self, ids: Iterable[str]) -> None:
        """Bring the rows into the order of ``ids``, which hardly ever is another one."""
        wanted = [self._entries[id] for id in ids if id in self._entries]
        if [entry.number for entry in wanted] == [number for _, number in self._order]:
            return
        for place, entry in enumerate(wanted):
            moved = entry._replace(place=place)
            self._entries[entry.id] = self._by_number[entry.number] = moved
        self._order = [(place, entry.number) for place, entry in enumerate(wanted)]

    def put(self, record: Record, next_mark: NextMark) -> None:
        """Hold a row as this process has just written it, and move the mark with it."""
        with self._lock:
            old = self._stamps.get(record.id)
            if record.stamp is None:  # It stays unknown which state is stored.
                self.mark = None
            elif record.stamp != old:
                self._put(record)
                self._move(next_mark, old, record.stamp)

    def _put(self, record: Record) -> None:
        """Hold a row in another state. A first version is the last in the order."""
        old = self._entries.get(record.id)
        place = self._order[-1][0] + 1 if self._order else 0
        if old is not None:
            self._drop(old)
            place = place if record.version == 1 else old.place
        entry = self._add(record, place)
        insort(self._order, (place, entry.number))

    def delete(self, id: str, next_mark: NextMark) -> None:
        """Leave out a row that this process has just deleted, and move the mark with it."""
        with self._lock:
            entry = self._entries.get(id)
            if entry is not None:
                old = self._stamps[id]
                self._drop(entry)
                self._move(next_mark, old, None)

    def _move(self, next_mark: NextMark, old: int | None, new: int | None) -> None:
        self.mark = None if self.mark is None else next_mark(self.mark, old, new)

    def _add(self, record: Record, place: int) -> _Entry:
        entry = _Entry(record.id, self._next, place, record.vector)
        self._next += 1
        self._entries[entry.id] = self._by_number[entry.number] = entry
        self._stamps[entry.id] = record.stamp
        self._vector_bytes += len(entry.vector or b"")
        self._keywords.add(entry.number, self._analyzer.terms(self._texts(record)))
        if self._vectors is not None:
            self._vectors.add(entry.number, entry.vector)
        return entry

    def _remove(self, number: int) -> None:
        self._keywords.remove(number)
        if self._vectors is not None:
            self._vectors.remove(number)

    def _drop(self, entry: _Entry) -> None:
        self._remove(entry.number)
        self._vector_bytes -= len(entry.vector or b"")
        del self._entries[entry.id], self._stamps[entry.id], self._by_number[entry.number]
        del self._order[bisect_left(self._order, (entry.place, entry.number))]

    # --- asking

    def with_vectors(self, tag: bytes, dimensions: int) -> int:
        """Return how many rows have vectors of that tag."""
        with self._lock:
            return len(self._vectors_of(tag, dimensions))

    def search(self, request: SearchRequest, query: QueryVector | None, most: int) -> list[Hit]:
        """Return the best ``most`` rows, whatever their payload."""
        words = self._analyzer.query(request.query or "") if request.by_keyword else NO_WORDS
        with self._lock:
            scores = self._scores(words, query)
            combined = ranking.combine(request.method, scores)
            if request.neighbours:
                keyword = (
                    scores.keyword
                    or self._scores(self._analyzer.query(request.query or ""), None).keyword
                )
                order = [number for _, number in self._order]
                ranking.add_neighbours(combined, keyword, order, request.neighbours)
            best = ranking.best(combined, self._place, request.threshold, most)
            return [self._hit(request, score, number, scores, words) for score, number in best]

    def _place(self, number: int) -> int:
        return self._by_number[number].place

    def _scores(self, words: Query, query: QueryVector | None) -> Scores:
        cosines: dict[int, float] = {}
        if query is not None:
            cosines = self._vectors_of(query.tag, len(query.vector)).cosines(query.vector)
        return Scores(self._keywords.scores(words.terms), cosines)

    def _vectors_of(self, tag: bytes, dimensions: int) -> VectorIndex:
        if self._vectors is None or self._vectors.tag != tag:
            self._vectors = VectorIndex(tag, dimensions)
            for _, number in self._order:
                self._vectors.add(number, self._by_number[number].vector)
        return self._vectors

    def _hit(
        self, request: SearchRequest, score: float, number: int, scores: Scores, words: Query
    ) -> Hit:
        entry = self._by_number[number]
        held = set(self._keywords.terms_of(number)) & words.words.keys()
        matched = {word for term in held for word in words.words[term]}
        return Hit(
            entry.id,
            self._stamps[entry.id],
            score,
            round(scores.keyword.get(number, 0.0), 6) if request.by_keyword else None,
            round(scores.cosine[number], 6) if number in scores.cosine else None,
            tuple(word for word in words.order if word in matched),
        )
