"""Counts and checksums of rows by user, independent of their order and quickly kept up to date."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from buddy.memory.payload import canonical_json
from buddy.memory.storage.record import Record

_CONTENT, _NUMBER = 2**128, 2**64


class Print(NamedTuple):
    """The fingerprint of one row, good in this process only: of its kind, user, id and payload (16
    bytes), of its times and its end (a number of 64 bits), and of its vector (the same; 0 without).
    """

    content: bytes
    times: int
    vector: int


def fingerprint(record: Record) -> Print:
    """Return the fingerprint of a row; version, stamp and position are not part of it."""
    content = f"{_name(record)}\0{canonical_json(record.payload)}"
    times = (record.key, record.created_at, record.updated_at, _to_millisecond(record.expires_at))
    vector = 0 if record.vector is None else hash((record.key, record.vector)) % _NUMBER
    return Print(_digest(content), hash(times) % _NUMBER, vector)


def key(record: Record) -> bytes:
    """Return 16 bytes that stand for kind, user and id."""
    return _digest(_name(record))


def _name(record: Record) -> str:
    # A user of None is no text, and no text is None: so they are told apart.
    return f"{record.kind.value}\0{record.user_id!r}\0{record.id}"


def _to_millisecond(time: datetime | None) -> datetime | None:
    """Return the end of a row as every backend can hold it."""
    return time and time.replace(microsecond=time.microsecond // 1000 * 1000)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Checksums:
    """How many rows each user has, with the sums of their fingerprints."""

    def __init__(self) -> None:
        self._users: dict[str | None, list[int]] = {}

    def add(self, user_id: str | None, print: Print, sign: int = 1) -> None:
        """Count a row in; with ``sign`` -1, out again."""
        sums = self._users.setdefault(user_id, [0, 0, 0, 0])
        sums[0] += sign
        sums[1] = (sums[1] + sign * int.from_bytes(print.content, "big")) % _CONTENT
        sums[2] = (sums[2] + sign * print.times) % _NUMBER
        sums[3] = (sums[3] + sign * print.vector) % _NUMBER

    def differences(self, actual: Checksums) -> list[dict[str, Any]]:
        """Return what differs, by user: "rows" (expected and found), "content", "times" or
        "vectors"."""
        names = ("rows", "content", "times", "vectors")
        found: list[dict[str, Any]] = []
        for user in dict.fromkeys([*self._users, *actual._users]):
            wanted, got = self._of(user), actual._of(user)
            if wanted == got:
                continue
            differs = next(n for n, w, g in zip(names, wanted, got, strict=True) if w != g)
            counts = {"expected": wanted[0], "found": got[0]}
            found.append({"user_id": user, "differs": differs, **counts})
        return found

    def _of(self, user: str | None) -> list[int]:
        return self._users.get(user, [0, 0, 0, 0])

    @property
    def users(self) -> int:
        """How many users have rows; nobody is counted as one."""
        return sum(sums[0] > 0 for sums in self._users.values())
