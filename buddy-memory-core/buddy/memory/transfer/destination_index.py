"""What a destination holds before rows are loaded: some 250 bytes of memory for each row."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from buddy.memory.storage.record import Record
from buddy.memory.transfer.checksums import Print, fingerprint, key
from buddy.memory.transfer.expected import Expected


class State(Enum):
    """How a row of the source stands in the destination."""

    NEW = "not there"
    SAME = "there, with the same content"
    DIFFERS = "there, with other content"


class DestinationIndex:
    """The fingerprints of the rows of a destination, by kind, user and id."""

    def __init__(self, rows: Iterable[Record]) -> None:
        self._rows: dict[bytes, bytes] = {}
        self.expected = Expected()
        for row in rows:
            print = fingerprint(row)
            numbers = print.times.to_bytes(8, "big") + print.vector.to_bytes(8, "big")
            self._rows[key(row)] = print.content + numbers
            self.expected.add(row, print)

    def __len__(self) -> int:
        return len(self._rows)

    def state(self, row: Record, print: Print) -> State:
        """Tell how ``row``, which has this fingerprint, stands in the destination."""
        there = self._rows.get(key(row))
        if there is None:
            return State.NEW
        return State.SAME if there[:16] == print.content else State.DIFFERS

    def print_of(self, row: Record) -> Print:
        """Return the fingerprint of the row with the kind, user and id of ``row``."""
        there = self._rows[key(row)]
        times, vector = int.from_bytes(there[16:24], "big"), int.from_bytes(there[24:], "big")
        return Print(there[:16], times, vector)

    def others(self, rows: Iterable[Record]) -> int:
        """Return how many rows of the destination are not, as they are, among ``rows``."""
        left = set(self._rows)
        for row in rows:
            if self.state(row, fingerprint(row)) is State.SAME:
                left.discard(key(row))
        return len(left)
