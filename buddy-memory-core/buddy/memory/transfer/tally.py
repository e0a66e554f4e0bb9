"""Counts and checksums of rows by user, independent of their order and quickly kept up to date."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from buddy.memory.payload import canonical_json
from buddy.memory.storage.record import Record

_CONTENT, _TIMES = 2**128, 2**64


class Print(NamedTuple):
    """The fingerprint of one row, good in this process only: of its id, owner and payload (16
    bytes), and of its times (a number of 64 bits)."""

    content: bytes
    times: int


def fingerprint(record: Record) -> Print:
    """Return the fingerprint of a row; its version and position are not part of it."""
    kind, id, user_id, payload, created_at, updated_at, _, _ = record
    # A user id of None is no text, and no text is None: so they are told apart.
    content = f"{kind.value}\0{id}\0{user_id!r}\0{canonical_json(payload)}"
    return Print(_digest(content), hash((id, created_at, updated_at)) % _TIMES)


def key(record: Record) -> bytes:
    """Return 16 bytes that stand for kind and id."""
    return _digest(f"{record.kind.value}\0{record.id}")


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Tally:
    """How many rows each user has, with the sums of their fingerprints."""

    def __init__(self) -> None:
        self._users: dict[str | None, list[int]] = {}

    def add(self, user_id: str | None, print: Print, sign: int = 1) -> None:
        """Count a row in; with ``sign`` -1, out again."""
        sums = self._users.setdefault(user_id, [0, 0, 0])
        sums[0] += sign
        sums[1] = (sums[1] + sign * int.from_bytes(print.content, "big")) % _CONTENT
        sums[2] = (sums[2] + sign * print.times) % _TIMES

    def differences(self, actual: Tally) -> list[dict[str, Any]]:
        """Return what differs, by user: "rows" (expected and found), "content" or "times"."""
        found: list[dict[str, Any]] = []
        for user in dict.fromkeys([*self._users, *actual._users]):
            wanted, got = self._of(user), actual._of(user)
            if wanted == got:
                continue
            what = [n for n, w, g in zip(("rows", "content", "times"), wanted, got) if w != g][0]  # noqa: B905,RUF015
            found.append({"user_id": user, "differs": what, "expected": wanted[0], "found": got[0]})
        return found

    def _of(self, user: str | None) -> tuple[int, ...]:
        return tuple(self._users.get(user, (0, 0, 0)))

    @property
    def users(self) -> int:
        """How many users have rows."""
        return sum(sums[0] > 0 for sums in self._users.values())

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(sums[0] for sums in self._users.values())
