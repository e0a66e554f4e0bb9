"""BM25 over the rows of one user, in memory and changed row by row (Robertson and Zaragoza, "The
Probabilistic Relevance Framework: BM25 and Beyond", 2009).

A row is known by its number, which is never given twice. The score of a row is the share of what
the query could reach at most: between 0 and 1, and comparable across queries and users.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import log
from typing import NamedTuple

from buddy.memory.search.words import Terms

K1, B = 0.9, 0.3
"""How soon a repeated word counts no more, and how much a long row is held against it."""

_LENGTH_BITS = 10
_MAX_LENGTH = (1 << _LENGTH_BITS) - 1  # Longer rows weigh as those of 1,023 words,
_MAX_COUNT = 63  # and words that occur more often as those that occur 63 times.
_SPARE = 64  # removed rows that never lead to cleaning


class _Postings:
    """The rows that hold one term, removed rows included, and how many living ones do.

    The shape of an occurrence is all that its weight depends on besides the term: how often the row
    has the term, and how long the row is.
    """

    __slots__ = ("holders", "rows", "shapes")

    def __init__(self) -> None:
        self.rows, self.shapes, self.holders = array("L"), array("H"), 0


class _Row(NamedTuple):
    terms: tuple[str, ...]
    length: int


class KeywordIndex:
    """Which rows hold which terms. Not locked: its owner is."""

    def __init__(self) -> None:
        self._postings: dict[str, _Postings] = {}
        self._rows: dict[int, _Row] = {}
        self._removed: set[int] = set()
        self._words = 0  # of all rows
        self._held = 0  # terms of all rows

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return 18 * self._held + 170 * len(self._rows) + 420 * len(self._postings)

    def add(self, row: int, terms: Terms) -> None:
        """Add a row under a number that was never used."""
        postings, length = self._postings, min(terms.length, _MAX_LENGTH)
        for term, count in terms.counts.items():
            found = postings.get(term)
            if found is None:
                found = postings[term] = _Postings()
            found.rows.append(row)
            found.shapes.append(min(count, _MAX_COUNT) << _LENGTH_BITS | length)
            found.holders += 1
        self._rows[row] = _Row(tuple(terms.counts), length)
        self._words += length
        self._held += len(terms.counts)

    def remove(self, row: int) -> None:
        """Remove a row that is there."""
        terms, length = self._rows.pop(row)
        for term in terms:
            self._postings[term].holders -= 1
        self._words -= length
        self._held -= len(terms)
        self._removed.add(row)
        if len(self._removed) > max(_SPARE, len(self._rows) // 4):
            self._clean()

    def scores(self, terms: Sequence[str]) -> dict[int, float]:
        """Return the score of each row that holds one of these distinct, sorted terms.

        The order of the terms is that of the additions, so that equal rows have equal scores
        everywhere, to the last bit.
        """
        found = [self._postings.get(term) or _Postings() for term in terms]
        living = len(self._rows)
        rarities = [log(1 + (living - p.holders + 0.5) / (p.holders + 0.5)) for p in found]
        reachable = sum(rarities)
        per_word = K1 * B * living / max(self._words, 1)
        scores: dict[int, float] = {}
        for postings, rarity in zip(found, rarities, strict=True):
            share = rarity / reachable
            weights = {shape: share * _weight(shape, per_word) for shape in set(postings.shapes)}
            weighed = zip(postings.rows, map(weights.__getitem__, postings.shapes), strict=True)
            if scores:
                for row, weight in weighed:
                    scores[row] = scores.get(row, 0.0) + weight
            else:
                scores = dict(weighed)
        for row in self._removed & scores.keys():
            del scores[row]
        return scores

    def terms_of(self, row: int) -> tuple[str, ...]:
        """Return the terms of a row that is there."""
        return self._rows[row].terms

    def _clean(self) -> None:
        """Leave removed rows out of the postings, and terms that no row holds."""
        removed, kept = self._removed, dict[str, _Postings]()
        for term, old in self._postings.items():
            if old.holders:
                kept[term] = new = _Postings()
                new.holders = old.holders
                for row, shape in zip(old.rows, old.shapes, strict=True):
                    if row not in removed:
                        new.rows.append(row)
                        new.shapes.append(shape)
        self._postings, self._removed = kept, set()


def _weight(shape: int, per_word: float) -> float:
    """Return the share of a term's greatest weight that an occurrence of that shape has."""
    count, length = shape >> _LENGTH_BITS, shape & _MAX_LENGTH
    return count / (count + K1 * (1 - B) + per_word * length)
