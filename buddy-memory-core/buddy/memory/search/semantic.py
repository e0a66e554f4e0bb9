"""The vector of a query, and which rows it can be compared with (rule R19)."""

from __future__ import annotations

import logging

from buddy.memory.errors import ConfigError, EmbeddingError
from buddy.memory.search.embedder import Embedder
from buddy.memory.search.request import SearchRequest
from buddy.memory.search.user_index import QueryVector, UserIndex

logger = logging.getLogger("buddy.memory")


async def query_vector(
    request: SearchRequest, embedder: Embedder | None, *, awaited: bool
) -> QueryVector | None:
    """Return the vector of the query, None where the method or an empty query needs none.

    Raises ConfigError without an embedder, EmbeddingError where it fails.
    """
    if not request.by_vector:
        return None
    if embedder is None:
        raise ConfigError(
            f"method {request.method!r} needs an embedder: open the database with embedder="
            'Embedder(fn, model="name"), or use method="keyword"'
        )
    query = request.query or ""
    if not query.strip():
        return None
    (vector,) = await embedder.embed([query], awaited=awaited)
    return QueryVector(embedder.tag(len(vector)), vector)


def check_vectors(index: UserIndex, vector: QueryVector | None) -> None:
    """Raise EmbeddingError where no row can be compared with the query, and warn where some
    cannot."""
    if vector is None or not len(index):
        return
    lacking = len(index) - index.with_vectors(vector.tag, len(vector.vector))
    if lacking == len(index):
        raise EmbeddingError(
            "no row of this user has a vector of this embedder's model: run "
            '"buddy-memory reindex URL --embedder module:function"'
        )
    if lacking:
        logger.warning("%d rows have no vector of this model and were left out: reindex", lacking)
