"""What a destination must hold when all is written, where some of it may end before it is read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from buddy.memory.storage import clock
from buddy.memory.storage.record import Record
from buddy.memory.transfer.checksums import Checksums, Print, fingerprint, key

SOON = timedelta(days=1)
"""Rows with a later end outlive every copy; those with an earlier one are kept one by one."""

SKEW = timedelta(minutes=5)
"""How far the clock of a server, by which rows end, may be ahead of ours."""


class _Ending(NamedTuple):
    user_id: str | None
    print: Print
    expires_at: datetime


class Compared(NamedTuple):
    """What a comparison found; ``ended`` are rows that are gone because their end came."""

    users: int
    mismatches: list[dict[str, Any]]
    ended: int


class Expected:
    """The checksums of rows, and apart from them the rows that may end meanwhile."""

    def __init__(self) -> None:
        self._checksums = Checksums()
        self._soon = clock.utc_now() + SOON
        self._ending: dict[bytes, _Ending] = {}

    def add(self, row: Record, print: Print) -> None:
        """Expect a row, which has this fingerprint."""
        if row.expires_at is not None and row.expires_at < self._soon:
            self._ending[key(row)] = _Ending(row.user_id, print, row.expires_at)
        else:
            self._checksums.add(row.user_id, print)

    def replace(self, row: Record, before: Print) -> None:
        """Expect a row instead of the one with this fingerprint under its key."""
        if self._ending.pop(key(row), None) is None:
            self._checksums.add(row.user_id, before, -1)
        self.add(row, fingerprint(row))

    def compare(self, rows: Iterable[Record]) -> Compared:
        """Compare with all rows that are there. To be called once."""
        actual = Checksums()
        for row in rows:
            actual.add(row.user_id, fingerprint(row))
            found = self._ending.pop(key(row), None) if row.expires_at is not None else None
            if found is not None:
                self._checksums.add(found.user_id, found.print)
        ended_by = clock.utc_now() + SKEW
        ended = 0
        for missing in self._ending.values():
            if missing.expires_at <= ended_by:
                ended += 1
            else:
                self._checksums.add(missing.user_id, missing.print)
        return Compared(actual.users, self._checksums.differences(actual), ended)
