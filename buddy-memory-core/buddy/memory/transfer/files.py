"""Files by name: compressed by their suffix, written whole or not at all, ``-`` for the pipes."""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

from buddy.memory.errors import MemoryDbError
from buddy.memory.transfer.errors import FileError

PIPE = "-"

# Imported when needed: a Python may have been built without one of them.
_MODULES = {
    ".gz": ("gzip",),
    ".bz2": ("bz2",),
    ".xz": ("lzma",),
    ".zst": ("compression.zstd", "backports.zstd"),
}
_STARTS = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\0": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
_LEVEL = 6
"""Of gzip: 9, which is Python's, takes several times as long and saves some percent."""

_ARCHIVES = {".7z", ".lz4", ".rar", ".tar", ".tgz", ".z", ".zip"}
"""Suffixes that promise what is not written here."""

_BROKEN = (EOFError, zlib.error, OSError)
_BROKEN_NAMES = {"LZMAError", "ZstdError"}
"""Errors of no common kind; to name them would need their modules."""


@contextmanager
def writing(
    name: str, may_replace: Callable[[Path], bool] = lambda target: True
) -> Generator[IO[bytes], None, None]:
    """Open for writing; the file appears under its name when all of it is on disk, and only its
    owner may read it, or those who could read the one that it replaces.

    Raises FileError when it cannot be written, or when ``may_replace`` denies that the file there
    may go; what stood there before is then still there.
    """
    try:
        if name == PIPE:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        target = Path(name)
        if target.suffix.lower() in _ARCHIVES:
            raise FileError(name, f"write {', '.join(_MODULES)} or .jsonl, not {target.suffix}")
        if target.exists() and not target.is_file():  # A device, or a pipe with a name.
            with target.open("wb") as device, _compressed(device, name) as file:
                yield file
            return
        target = target.resolve()  # The file that a link leads to is replaced, and not the link.
        if target.exists() and not may_replace(target):
            raise FileError(name, "is there and is no export: choose another name, or --force")
        with _replacing(target, name) as file:
            yield file
    except (MemoryDbError, BrokenPipeError):
        raise  # A database that is gone is an OSError, too.
    except OSError as error:
        raise FileError(name, f"cannot be written: {error.strerror or error}") from error


@contextmanager
def _replacing(target: Path, name: str) -> Generator[IO[bytes], None, None]:
    part = target.with_name(f".{target.name}.{uuid4().hex[:8]}.part")
    try:
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as whole:
            if target.exists():
                part.chmod(stat.S_IMODE(target.stat().st_mode))
            with _compressed(whole, name) as file:
                yield file
            whole.flush()
            os.fsync(whole.fileno())
        part.replace(target)
    finally:
        with suppress(FileNotFoundError, NotADirectoryError):
            part.unlink()


@contextmanager
def _compressed(raw: IO[bytes], name: str) -> Generator[IO[bytes], None, None]:
    suffix = Path(name).suffix.lower()
    if suffix not in _MODULES:
        yield raw
        return
    module = _module(suffix, name)
    # Without a name, gzip would write that of the unfinished file into it.
    made = module.GzipFile("", "wb", _LEVEL, raw) if suffix == ".gz" else module.open(raw, "wb")
    with made as file:
        yield file


def _module(suffix: str, name: str) -> Any:
    for module in _MODULES[suffix]:
        with suppress(ImportError):
            return import_module(module)
    hint = ": it takes Python 3.14, or pip install backports.zstd" if suffix == ".zst" else ""
    raise FileError(name, f"this Python cannot compress as {suffix}{hint}")


def is_kept(name: str) -> bool:
    """Tell whether all of it can be read again, which a pipe cannot, with or without a name."""
    return name != PIPE and (Path(name).is_file() or not Path(name).exists())


@contextmanager
def reading(name: str) -> Generator[IO[bytes], None, None]:
    """Open for reading, whatever its name says of compression. Raises FileError."""
    if name == PIPE:
        yield _decompressed(cast("BufferedReader", sys.stdin.buffer), name)
        return
    try:
        raw = Path(name).open("rb")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise FileError(name, f"cannot be read: {error.strerror or error}") from error
    with raw:
        yield _decompressed(raw, name)


def _decompressed(raw: BufferedReader, name: str) -> IO[bytes]:
    try:
        start = raw.peek(max(map(len, _STARTS)))
    except OSError as error:
        raise FileError(name, f"cannot be read: {error.strerror or error}") from error
    for begin, suffix in _STARTS.items():
        if start.startswith(begin):
            return cast("IO[bytes]", _module(suffix, name).open(raw, "rb"))
    return raw


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
    except Exception as error:
        if not isinstance(error, _BROKEN) and type(error).__name__ not in _BROKEN_NAMES:
            raise
        reason = f"the file is cut off or damaged: {error}"
        raise FileError(name, reason, number) from error
