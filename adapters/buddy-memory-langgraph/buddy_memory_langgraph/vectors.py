"""Meaning: which texts of a value are embedded, and how near their vectors are to a query's.

The vectors of an item are kept in its row, so that they are written, copied and deleted with it,
each as base64 of little-endian float32.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from math import hypot, isfinite
from operator import mul
from typing import Any, Literal, NamedTuple

from langgraph.store.base import (
    IndexConfig,
    Op,
    PutOp,
    SearchOp,
    ensure_embeddings,
    get_text_at_path,
    tokenize_path,
)


class Vectors(NamedTuple):
    """The vectors that a batch needs: those of texts to store, and those of queries."""

    documents: Mapping[str, array[float]]
    queries: Mapping[str, array[float]]


class Embedding:
    """The embedding model of a store, and the fields that are embedded by default.

    Without a config there is no model, and nothing is ever embedded.
    """

    def __init__(self, config: IndexConfig | None) -> None:
        self._model = None if config is None else ensure_embeddings(config.get("embed"))
        self._dims = None if config is None else config.get("dims")
        self._fields = (config or {}).get("fields") or ["$"]

    def needs(self, ops: Iterable[Op]) -> tuple[list[str], list[str]]:
        """Return the texts and the queries of a batch, each once."""
        if self._model is None:
            return [], []
        texts: dict[str, None] = {}
        queries: dict[str, None] = {}
        for op in ops:
            if isinstance(op, PutOp) and op.value is not None:
                texts.update(dict.fromkeys(self.texts(op.value, op.index).values()))
            elif isinstance(op, SearchOp) and op.query:
                queries[op.query] = None
        return list(texts), list(queries)

    def texts(
        self, value: Mapping[str, Any], index: Literal[False] | Sequence[str] | None
    ) -> dict[str, str]:
        """Return the texts of a value by path; ``index`` are its own paths, False for none."""
        if index is False:
            return {}
        found: dict[str, str] = {}
        for path in self._fields if index is None else index:
            texts = get_text_at_path(value, path if path == "$" else tokenize_path(path))
            for number, text in enumerate(texts):
                found[path if len(texts) == 1 else f"{path}.{number}"] = text
        return found

    def documents(self, texts: list[str]) -> dict[str, array[float]]:
        """Return the vectors of texts; an error of the model is the caller's."""
        if not texts or self._model is None:
            return {}
        return self._paired(texts, self._model.embed_documents(texts))

    async def adocuments(self, texts: list[str]) -> dict[str, array[float]]:
        """As ``documents``."""
        if not texts or self._model is None:
            return {}
        return self._paired(texts, await self._model.aembed_documents(texts))

    def queries(self, texts: list[str]) -> dict[str, array[float]]:
        """Return the vectors of queries."""
        if not texts or self._model is None:
            return {}
        return self._paired(texts, [self._model.embed_query(text) for text in texts])

    async def aqueries(self, texts: list[str]) -> dict[str, array[float]]:
        """As ``queries``."""
        if not texts or self._model is None:
            return {}
        return self._paired(
            texts, list(await asyncio.gather(*map(self._model.aembed_query, texts)))
        )

    def _paired(self, texts: list[str], vectors: list[Any]) -> dict[str, array[float]]:
        if len(vectors) != len(texts):
            raise ValueError(f"the model gave {len(vectors)} vectors for {len(texts)} texts")
        return dict(zip(texts, map(self._plain, vectors), strict=True))

    def _plain(self, vector: Iterable[Any]) -> array[float]:
        """Return a vector of any kind of numbers as the float32 that are stored."""
        plain = array("f", vector)
        if self._dims is not None and len(plain) != self._dims:
            raise ValueError(
                f"the model gave a vector of {len(plain)} dimensions, and dims={self._dims}"
            )
        if not all(map(isfinite, plain)):
            raise ValueError("the model gave a vector with NaN or infinity")
        return plain


def pack(vector: array[float]) -> str:
    """Return a vector as text."""
    return base64.b64encode(_little_endian(vector[:]).tobytes()).decode()


def unpack(text: str) -> array[float]:
    """Return the vector that ``pack`` was given."""
    vector = array("f")
    vector.frombytes(base64.b64decode(text))
    return _little_endian(vector)


def _little_endian(vector: array[float]) -> array[float]:
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def best_cosine(query: Sequence[float], vectors: Iterable[str]) -> float | None:
    """Return the cosine of the nearest vector, None when there is none.

    Vectors of another length, those of a model from before, count as none.
    """
    unpacked = map(unpack, vectors)
    return max((_cosine(query, v) for v in unpacked if len(v) == len(query)), default=None)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norms = hypot(*one) * hypot(*other)
    return sum(map(mul, one, other)) / norms if norms else 0.0
