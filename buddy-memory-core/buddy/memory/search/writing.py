"""Vectors of what is written, made before the row is stored and stored with it (rule R19)."""

from __future__ import annotations

import logging

from buddy.memory.errors import EmbeddingError
from buddy.memory.search.options import SearchOptions
from buddy.memory.search.row_text import texts_of
from buddy.memory.storage.record import Write

logger = logging.getLogger("buddy.memory")


async def embed_writes(
    writes: list[Write], *, options: SearchOptions, awaited: bool
) -> list[Write]:
    """Return the writes with the vectors of their texts.

    Where the embedder fails they stay without, and a warning names the rows, or EmbeddingError is
    raised and nothing is stored, as ``on_embed_error`` says.
    """
    embedder = options.embedder
    if embedder is None or not writes:
        return writes
    texts = [texts_of(options.text, write.record.payload) for write in writes]
    try:
        vectors = await embedder.stored(texts, awaited=awaited)
    except EmbeddingError as error:
        if options.on_embed_error == "raise":
            raise
        ids = ", ".join(repr(write.record.id) for write in writes[:5])
        more = f" and {len(writes) - 5} more" if len(writes) > 5 else ""
        logger.warning("stored without a vector: %s%s: %s", ids, more, error)
        return writes
    return [
        write._replace(record=write.record._replace(vector=vector))
        for write, vector in zip(writes, vectors, strict=True)
    ]
