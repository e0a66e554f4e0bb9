"""What a destination holds before rows are loaded: some 250 bytes of memory for each row."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from buddy.memory.storage.record import Record
from buddy.memory.transfer.tally import Print, Tally, fingerprint, key


class State(Enum):
    """How a row of the source stands in the destination."""

    NEW = "not there"
    SAME = "there, with the same content and owner"
    DIFFERS = "there, with other content"
    FOREIGN = "there, and owned by another user"


class Ledger:
    """The fingerprints of the rows of a destination, by kind and id."""

    def __init__(self, rows: Iterable[Record]) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._owners: dict[str | None, int] = {}
        self.tally = Tally()
        for row in rows:
            print = fingerprint(row)
            owner = self._owners.setdefault(row.user_id, len(self._owners))
            times = print.times.to_bytes(8, "big")
            self._rows[key(row)] = print.content + times + owner.to_bytes(4, "big")
            self.tally.add(row.user_id, print)

    def __len__(self) -> int:
        return len(self._rows)

    def state(self, row: Record, print: Print) -> State:
        """Tell how ``row``, which has this fingerprint, stands in the destination."""
        there = self._rows.get(key(row))
        if there is None:
            return State.NEW
        if there[:16] == print.content:
            return State.SAME
        owner = self._owners.get(row.user_id, -1)
        return State.DIFFERS if owner == int.from_bytes(there[24:], "big") else State.FOREIGN

    def print_of(self, row: Record) -> Print:
        """Return the fingerprint of the row that stands there under the id of ``row``."""
        there = self._rows[key(row)]
        return Print(there[:16], int.from_bytes(there[16:24], "big"))

    def others(self, rows: Iterable[Record]) -> int:
        """Return how many rows of the destination are not, as they are, among ``rows``."""
        left = set(self._rows)
        for row in rows:
            if self.state(row, fingerprint(row)) is State.SAME:
                left.discard(key(row))
        return len(left)
