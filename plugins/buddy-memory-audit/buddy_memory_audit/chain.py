"""Lines that are chained by hashes: what was changed, taken out or put in later is noticed.

Each line ends with a hash over the hash of the line before and the line itself up to there::

    {"time":…,"seconds":0.000532,"hash":"9f86d0…"}

It is SHA-256, or HMAC-SHA-256 with a key, without which nobody can make the chain anew. The first
line of a file follows 64 zeros.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

START = "0" * 64

_HASHED = re.compile(rb'^(\{.*),"hash":"([0-9a-f]{64})"\}\n$', re.DOTALL)
_END = re.compile(rb',"hash":"([0-9a-f]{64})"\}\n')
_END_BYTES = len(',"hash":""}\n') + 64
_CHUNK = 1 << 16


def chained(text: bytes, previous: str, key: bytes | None) -> bytes:
    """Return the line of a JSON object that follows the line with the hash ``previous``."""
    body = text[:-1]
    return body + b',"hash":"' + _hash(body, previous, key).encode() + b'"}\n'


def last_hash(descriptor: int) -> str:
    """Return the hash of the last whole line of an open file; that of the start without one.

    Torn lines behind it do not count. A quote inside of a line is escaped, so that no id can look
    like the end of one.
    """
    end = os.fstat(descriptor).st_size
    found = _END.fullmatch(_read(descriptor, end - _END_BYTES, end))
    tail = b""
    while found is None and end > 0:  # The last line is torn: look for the one before.
        begin = max(end - _CHUNK, 0)
        tail = _read(descriptor, begin, end) + tail[: _END_BYTES - 1]
        *_, found = [None, *_END.finditer(tail)]
        end = begin
    return START if found is None else found[1].decode()


class Verified(NamedTuple):
    """What a file shows: how many lines there are; the numbers of those that do not follow the line
    before; the numbers of torn lines, of which nothing can be said; and the hash of the last."""

    lines: int
    broken: Sequence[int]
    torn: Sequence[int]
    last: str
    reached: bool

    @property
    def intact(self) -> bool:
        """Whether nothing was changed, taken out or put in."""
        return not self.broken and self.reached


def verify(
    file: str | os.PathLike[str], *, key: bytes | None = None, until: str | None = None
) -> Verified:
    """Read a file and tell whether its chain holds.

    Lines that were cut off at the end leave a chain that holds: ``until`` is the ``last`` of an
    earlier call, and ``reached`` tells whether the file still has that line. Raises OSError.
    """
    broken, torn, previous, number = [], [], START, 0
    reached = until in (None, START)
    with Path(file).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            parts = _HASHED.match(line)
            if parts is None:
                torn.append(number)
                continue
            body, found = parts[1], parts[2].decode()
            if not hmac.compare_digest(found, _hash(body, previous, key)):
                broken.append(number)
            previous = found
            reached = reached or found == until
    return Verified(number, broken, torn, previous, reached)


def _hash(body: bytes, previous: str, key: bytes | None) -> str:
    text = previous.encode() + body
    if key is not None:
        return hmac.digest(key, text, "sha256").hex()
    return hashlib.sha256(text).hexdigest()


def _read(descriptor: int, begin: int, end: int) -> bytes:
    os.lseek(descriptor, max(begin, 0), os.SEEK_SET)
    return os.read(descriptor, end - max(begin, 0))
