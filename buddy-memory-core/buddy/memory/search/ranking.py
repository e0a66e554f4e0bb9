"""From the scores of words and vectors to one order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nlargest
from math import inf
from typing import NamedTuple

KEYWORD_SHARE, COSINE_SHARE = 0.7, 0.3
"""What words and vectors count in "hybrid". Measured better than reciprocal rank fusion, which is
worse than words alone (see docs/search.md)."""

NEIGHBOUR_SHARE = 0.3
"""What the keyword score of a row before or behind counts."""

_DIGITS = 6
_ROUNDING = 10.0**-_DIGITS


class Scores(NamedTuple):
    """The scores of the rows of one user, by their numbers."""

    keyword: Mapping[int, float]
    cosine: Mapping[int, float]


def combine(method: str, scores: Scores) -> dict[int, float]:
    """Return the score of each row that the method finds, without its neighbours' share."""
    if method == "keyword":
        return {**scores.keyword}
    if method == "semantic":
        return {**scores.cosine}
    combined = {row: KEYWORD_SHARE * score for row, score in scores.keyword.items()}
    for row, cosine in scores.cosine.items():
        combined[row] = combined.get(row, 0.0) + COSINE_SHARE * cosine
    return combined


def add_neighbours(
    combined: dict[int, float], keyword: Mapping[int, float], order: list[int], reach: int
) -> None:
    """Add to each row's score a share of the keyword scores of the ``reach`` rows on both sides.

    ``order`` holds the numbers of all rows in the order of first writing. The sum is taken from the
    nearest row outwards, the earlier one first, so that it is the same everywhere.
    """
    own = [keyword.get(row, 0.0) for row in order]
    touched = {
        near
        for here, score in enumerate(own)
        if score
        for near in range(max(here - reach, 0), min(here + reach + 1, len(order)))
    }
    for here in sorted(touched):
        total = 0.0
        for distance in range(1, reach + 1):
            total += own[here - distance] if here >= distance else 0.0
            total += own[here + distance] if here + distance < len(order) else 0.0
        if total:
            combined[order[here]] = combined.get(order[here], 0.0) + NEIGHBOUR_SHARE * total


def best(
    combined: Mapping[int, float],
    place: Callable[[int], int],
    threshold: float | None,
    most: int,
) -> list[tuple[float, int]]:
    """Return rounded scores and numbers of the best ``most`` rows, newest first among equals."""
    if len(combined) > most:  # Round and sort those only that can be among them.
        lowest = min(nlargest(most, combined.values()), default=inf) - _ROUNDING
        combined = {row: score for row, score in combined.items() if score >= lowest}
    ordered = sorted(((round(s, _DIGITS), place(row), row) for row, s in combined.items()))
    return [
        (score, row)
        for score, _, row in reversed(ordered[-most:] if most else [])
        if threshold is None or score >= threshold
    ]
