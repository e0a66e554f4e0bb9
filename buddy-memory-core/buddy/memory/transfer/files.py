"""Files by name: compressed by their suffix, written whole or not at all, ``-`` for the pipes."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import IO, cast
from uuid import uuid4

from buddy.memory.transfer.errors import FileError

PIPE = "-"
_COMPRESSED = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
_BROKEN = (EOFError, zlib.error, OSError)


def _opened(path: Path, mode: str, name: str) -> IO[bytes]:
    module = _COMPRESSED.get(Path(name).suffix.lower())
    if module is None:
        return path.open(mode)
    # Imported when needed: a Python may have been built without one of them.
    return cast("IO[bytes]", import_module(module).open(path, mode))


@contextmanager
def writing(name: str) -> Generator[IO[bytes], None, None]:
    """Open for writing; the file appears under its name when all of it is on disk.

    Raises FileError when it cannot be written; what stood there before is then still there.
    """
    if name == PIPE:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = Path(name)
    part = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        with _opened(part, "xb", name) as file:
            yield file
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except OSError as error:
        raise FileError(name, f"cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            part.unlink()


@contextmanager
def reading(name: str) -> Generator[IO[bytes], None, None]:
    """Open for reading. Raises FileError."""
    if name == PIPE:
        yield sys.stdin.buffer
        return
    try:
        file = _opened(Path(name), "rb", name)
    except OSError as error:
        raise FileError(name, f"cannot be read: {error.strerror or error}") from error
    with file:
        yield file


def lines(name: str, file: IO[bytes], limit: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number of each line and the line without its end.

    Raises FileError for a line longer than ``limit`` bytes and for a broken compressed file.
    """
    number = 0
    while True:
        number += 1
        line = _read_line(name, file, limit + 1, number)
        if not line:
            return
        if len(line) > limit:
            raise FileError(name, f"the line is longer than {limit:,} bytes", number)
        yield number, line.rstrip(b"\r\n")


def _read_line(name: str, file: IO[bytes], size: int, number: int) -> bytes:
    try:
        return file.readline(size)
    except _BROKEN as error:
        raise FileError(name, f"the file is cut off or damaged: {error}", number) from error
    except Exception as error:
        # lzma's error is of no common kind, and naming it would need the module.
        if type(error).__name__ != "LZMAError":
            raise
        raise FileError(name, f"the file is cut off or damaged: {error}", number) from error
