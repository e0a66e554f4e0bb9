"""Transactions: what each has read, and whether it still holds when it commits (RPC: Commit).

Contention is modelled optimistically: a commit is ABORTED when anything that its transaction has
read was changed since, found documents and queries alike.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from typing import Any

from tests.firestore_server.protocol import Refusal, invalid


class Transaction:
    """The reads of one transaction: how to repeat each, and what it returned."""

    def __init__(self, read_only: bool) -> None:
        self.read_only = read_only
        self._reads: list[tuple[Callable[[], Hashable], Hashable]] = []

    def saw(self, read: Callable[[], Hashable]) -> None:
        """Remember a read that was just done."""
        if not self.read_only:
            self._reads.append((read, read()))

    def check(self) -> None:
        """Abort when any read would return something else now."""
        if any(read() != seen for read, seen in self._reads):
            raise Refusal("ABORTED", "Too much contention on these documents. Please try again.")


class Transactions:
    """The open transactions of one database."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._open: dict[bytes, Transaction] = {}

    def begin(self, options: Any) -> bytes:
        id = f"transaction-{next(self._ids)}".encode()
        self._open[id] = Transaction(options.WhichOneof("mode") == "read_only")
        return id

    def get(self, id: bytes) -> Transaction:
        try:
            return self._open[id]
        except KeyError:
            raise invalid("The referenced transaction has expired or is no longer valid.") from None

    def end(self, id: bytes) -> Transaction:
        transaction = self.get(id)
        del self._open[id]
        return transaction
