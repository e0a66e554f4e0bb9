"""Vectors for rows that have none of a model yet. Neither versions nor times nor ends move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from buddy.memory.search.embedder import Embedder
from buddy.memory.search.row_text import TextOf, default_texts, texts_of
from buddy.memory.search.vectors import TAG_BYTES
from buddy.memory.storage.record import EVERYBODY, Kind, Record, Scope
from buddy.memory.storage.sync_database import StoreBackedContract
from buddy.memory.storage.sync_runner import run

BATCH = 100
"""Rows whose texts are given to the embedder at a time."""


@dataclass
class Reindexed:
    """What became of the rows: ``same`` had vectors of the model, ``changed`` were written by
    another client meanwhile, ``without_text`` have nothing to embed."""

    written: int = 0
    same: int = 0
    changed: int = 0
    without_text: int = 0

    @property
    def rows(self) -> int:
        """All rows that were looked at."""
        return self.written + self.same + self.changed + self.without_text


def reindex(
    db: StoreBackedContract[object],
    embedder: Embedder,
    *,
    scope: Scope = EVERYBODY,
    text: TextOf = default_texts,
    progress: Callable[[Reindexed], object] = lambda so_far: None,
) -> Reindexed:
    """Give each memory of the scope the vectors of ``embedder`` that it lacks.

    A call that was killed is continued by calling again. A row that is written meanwhile is left as
    it is. Raises EmbeddingError, and what the database raises; what was written until then stays.
    """
    result = Reindexed()
    (probe,) = run(embedder.embed(["probe"], awaited=False))
    tag = embedder.tag(len(probe))
    for batch in _batches(db.iter_records(Kind.MEMORY, scope)):
        missing = [row for row in batch if (row.vector or b"")[:TAG_BYTES] != tag]
        result.same += len(batch) - len(missing)
        texts = [texts_of(text, row.payload) for row in missing]
        vectors = run(embedder.stored(texts, awaited=False))
        for row, vector in zip(missing, vectors, strict=True):
            if vector is None:
                result.without_text += 1
            elif db.rewrite_record(row, payload=row.payload, vector=vector):
                result.written += 1
            else:
                result.changed += 1
        progress(result)
    return result


def _batches(rows: Iterable[Record]) -> Iterator[list[Record]]:
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield batch
