"""What is asked for, parsed; and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, NamedTuple, TypeVar

from buddy.memory import filters
from buddy.memory.errors import ConfigError
from buddy.memory.filters import Filter, Where

METHODS = ("keyword", "semantic", "hybrid")
_MAX_NEIGHBOURS = 100
_MAX_COUNT = 2**63 - 1

RowT = TypeVar("RowT")


@dataclass(frozen=True)
class SearchResult(Generic[RowT]):
    """A row that was found, and why.

    ``score`` orders the results: between 0 and 1 (a little more with ``neighbours``), None without
    a query. ``keyword`` is the share of what the query could reach by its words, ``cosine`` that of
    the vectors (-1 to 1); each is None where the method does not use it, or the row has no vector.
    ``matched`` are the words of the query that the row holds, in their order.
    """

    row: RowT
    score: float | None
    keyword: float | None = None
    cosine: float | None = None
    matched: tuple[str, ...] = ()


class SearchRequest(NamedTuple):
    """The checked arguments of a search."""

    query: str | None
    where: Filter
    limit: int
    offset: int
    method: str
    threshold: float | None
    neighbours: int

    @property
    def by_keyword(self) -> bool:
        """Whether the words of the query count."""
        return self.method != "semantic"

    @property
    def by_vector(self) -> bool:
        """Whether the vector of the query counts."""
        return self.query is not None and self.method != "keyword"


def parse(
    query: Any,
    where: Where | None,
    limit: Any,
    offset: Any,
    method: Any,
    threshold: Any,
    neighbours: Any,
) -> SearchRequest:
    """Return the request. Raises ConfigError that names the argument at fault."""
    if query is not None and not isinstance(query, str):
        raise ConfigError(f"query must be a str or None, not {type(query).__name__}")
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}, not {method!r:.80}")
    if threshold is not None and not (
        isinstance(threshold, (int, float))
        and not isinstance(threshold, bool)
        and isfinite(threshold)
    ):
        raise ConfigError(f"threshold must be a number or None, not {threshold!r:.80}")
    return SearchRequest(
        query,
        filters.parse(where),
        _count(limit, "limit"),
        _count(offset, "offset"),
        method,
        threshold,
        _count(neighbours, "neighbours", _MAX_NEIGHBOURS),
    )


def _count(number: Any, name: str, most: int = _MAX_COUNT) -> int:
    if type(number) is not int or not 0 <= number <= most:
        raise ConfigError(f"{name} must be an int between 0 and {most}, not {number!r:.80}")
    return number
