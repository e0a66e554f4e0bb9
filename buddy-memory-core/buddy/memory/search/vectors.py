"""Vectors of rows: int8 numbers and a tag of their model, compared by exact integer arithmetic.

The stored form is 8 bytes of tag, then 1 to 64 vectors of one length, a signed byte for each
dimension. Vectors of another tag are never compared (rule R19). Integers make a cosine the same on
every machine, with numpy and without.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import sha256
from math import isfinite, sqrt
from operator import mul
from typing import Any

from buddy.memory.errors import EmbeddingError

TAG_BYTES = 8
MAX_VECTORS = 64
"""Vectors of one row at most: one for each string of its text, the first ones."""

_STEPS = 127
_EXACT = 2**24  # up to here a float32 holds every integer


def tag_of(model: str, dimensions: int) -> bytes:
    """Return the tag of a model's vectors of that many dimensions."""
    return sha256(f"{dimensions}\0{model}".encode()).digest()[:TAG_BYTES]


def quantize(vector: Iterable[Any]) -> array[int]:
    """Return a vector as int8 numbers: its direction, in 127 steps of its largest part.

    Raises EmbeddingError for what is no list of finite numbers, and for zeros only.
    """
    try:
        numbers = [float(number) for number in vector]
    except (TypeError, ValueError, OverflowError) as error:
        raise EmbeddingError(f"the embedder returned a vector that is none: {error}") from error
    largest = max(map(abs, numbers), default=0.0)
    if not all(map(isfinite, numbers)):
        raise EmbeddingError("the embedder returned a vector with NaN or infinity")
    if not largest:
        raise EmbeddingError("the embedder returned a vector of zeros, or without dimensions")
    return array("b", [round(number / largest * _STEPS) for number in numbers])


def pack(tag: bytes, vectors: Iterable[array[int]]) -> bytes:
    """Return the stored form."""
    return tag + b"".join(vector.tobytes() for vector in vectors)


def unpack(stored: bytes | None, tag: bytes, dimensions: int) -> list[array[int]]:
    """Return the vectors of that tag; ``[]`` where there are none or those of another model."""
    if not stored or stored[:TAG_BYTES] != tag or (len(stored) - TAG_BYTES) % dimensions:
        return []
    numbers = array("b", stored[TAG_BYTES:])
    return [numbers[i : i + dimensions] for i in range(0, len(numbers), dimensions)]


class VectorIndex:
    """The vectors of rows, under the rows' numbers. Not locked: its owner is."""

    def __init__(self, tag: bytes, dimensions: int) -> None:
        self.tag, self.dimensions = tag, dimensions
        self._lines = _lines(dimensions)
        self._rows: list[int] = []  # of each line
        self._squares: list[int] = []
        self._living: set[int] = set()

    def __len__(self) -> int:
        """How many rows have vectors."""
        return len(self._living)

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self._rows) * (4 * self.dimensions + 120) + 100 * len(self._living)

    def add(self, row: int, stored: bytes | None) -> None:
        """Add the vectors of a row, under a new number, if it has any of this tag."""
        for vector in unpack(stored, self.tag, self.dimensions):
            self._lines.append(vector)
            self._rows.append(row)
            self._squares.append(_square(vector))
            self._living.add(row)

    def remove(self, row: int) -> None:
        """Remove the vectors of a row, if it has any."""
        self._living.discard(row)
        if len(self._rows) > 2 * len(self._living) + MAX_VECTORS:
            self._clean()

    def cosines(self, query: array[int]) -> dict[int, float]:
        """Return for each row with vectors the greatest cosine to the query."""
        length, living, found = _square(query), self._living, dict[int, float]()
        products = self._lines.products(query)
        for row, product, square in zip(self._rows, products, self._squares, strict=True):
            cosine = product / sqrt(square * length) if square else 0.0
            if row in living and cosine > found.get(row, -2.0):
                found[row] = cosine
        return found

    def _clean(self) -> None:
        """Leave the lines of removed rows out."""
        kept = [line for line, row in enumerate(self._rows) if row in self._living]
        vectors = [self._lines.vector(line) for line in kept]
        self._rows = [self._rows[line] for line in kept]
        self._squares = [self._squares[line] for line in kept]
        self._lines = _lines(self.dimensions)
        for vector in vectors:
            self._lines.append(vector)


class _PythonLines:
    """Vectors one below the other."""

    def __init__(self, dimensions: int) -> None:
        self._vectors: list[array[int]] = []

    def append(self, vector: array[int]) -> None:
        self._vectors.append(vector)

    def vector(self, line: int) -> array[int]:
        return self._vectors[line]

    def products(self, query: array[int]) -> list[int]:
        return [sum(map(mul, query, vector)) for vector in self._vectors]


class _NumpyLines:
    """The same in a matrix of floats that hold every product exactly."""

    def __init__(self, numpy: Any, dimensions: int) -> None:
        exact = dimensions * _STEPS * _STEPS < _EXACT
        self._numpy, self._count = numpy, 0
        self._matrix = numpy.empty((64, dimensions), numpy.float32 if exact else numpy.float64)

    def append(self, vector: array[int]) -> None:
        if self._count == len(self._matrix):
            self._matrix = self._numpy.concatenate(
                [self._matrix, self._numpy.empty_like(self._matrix)]
            )
        self._matrix[self._count] = vector
        self._count += 1

    def vector(self, line: int) -> array[int]:
        return array("b", self._matrix[line].astype(self._numpy.int8).tobytes())

    def products(self, query: array[int]) -> list[int]:
        products = self._matrix[: self._count] @ self._numpy.array(query, self._matrix.dtype)
        return [*map(int, products.tolist())]


def _lines(dimensions: int) -> _PythonLines | _NumpyLines:
    """Return an empty list of vectors, in numpy where that is installed."""
    try:
        import numpy
    except ImportError:
        return _PythonLines(dimensions)
    return _NumpyLines(numpy, dimensions)


def _square(vector: array[int]) -> int:
    return sum(map(mul, vector, vector))
