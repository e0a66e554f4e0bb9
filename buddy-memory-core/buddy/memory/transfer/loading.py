"""Bring rows from anywhere into a database, once, however often it is tried.

Rows that the destination holds already are skipped, so that a call which was killed is continued by
calling again. At the end the destination is read back, and counts and checksums are compared for
each user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.storage.record import Kind, Record
from buddy.memory.transfer.batches import ahead, batches
from buddy.memory.transfer.errors import DestinationError
from buddy.memory.transfer.ledger import Ledger, State
from buddy.memory.transfer.rows import counts, records, write_new, write_over
from buddy.memory.transfer.tally import Print, Tally, fingerprint
from buddy.memory.v2.db.base import MemoryDb

SHOWN = 20
"""How many ids and users a result names; all of them are counted."""


class Source(NamedTuple):
    """Rows with distinct ids. ``read`` yields them in order; ``again``: more than once;
    ``ahead``: in a thread, too, which nothing can keep waiting for ever."""

    read: Callable[[], Iterator[Record]]
    again: bool = True
    ahead: bool = False


@dataclass
class Loaded:
    """What became of the rows. Counts are of rows; lists name the first ``SHOWN``."""

    memories: int = 0
    """Memories of the source that were looked at."""
    summaries: int = 0
    """The same, of session summaries."""
    new: int = 0
    """Written, because the destination had no such id (with dry_run: would be written)."""
    same: int = 0
    """Skipped: the destination has the row with the same content and owner."""
    retimed: int = 0
    """How many of these have other times in the destination, which stay as they are there."""
    overwritten: int = 0
    """Replaced, because ``overwrite`` was asked for (with dry_run: would be replaced)."""
    differing: int = 0
    """Left alone: the destination has the id with other content or another owner."""
    differing_ids: list[str] = field(default_factory=list[str])
    """The ids of the first of these."""
    refused: int = 0
    """Left out: the destination cannot store the row."""
    refused_rows: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """The first of these, each with ``id`` and ``reason``."""
    unreadable: int = 0
    """Left out: the source has the row, and it cannot be decoded."""
    unreadable_rows: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """Some of these, of older software; those of a current store were logged."""
    restarted_versions: int = 0
    """Written with version 1, because the destination cannot take versions over."""
    phase: str = "writing"
    """What is being done: "comparing" with what is there, "writing", "verifying"; then "done"."""
    passed: int = 0
    """Rows that this has passed so far."""
    users: int = 0
    """Users who have rows in the destination now."""
    verified: bool = False
    """Whether the destination was read back; not so after a dry run."""
    mismatches: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Users whose rows in the destination are not what was written."""

    @property
    def rows(self) -> int:
        """Rows of the source that were looked at."""
        return self.memories + self.summaries

    @property
    def complete(self) -> bool:
        """Whether every row of the source is in the destination now, and was found there."""
        missing = self.differing or self.refused or self.unreadable
        return self.verified and not (self.mismatches or missing)


def load(
    source: Source,
    db: MemoryDb,
    *,
    merge: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Callable[[Loaded], object] = lambda so_far: None,
) -> Loaded:
    """Bring the rows of ``source`` into ``db``; return what became of them.

    A destination that holds rows which do not come from the source is refused with a
    DestinationError, before anything is written, unless ``merge``. A row whose id is there with
    other content is left alone, unless ``overwrite``, which implies ``merge``; another user's row
    is never touched. ``progress`` is called after each batch and when a phase begins.

    Raises what the source and the database raise; what was written until then is kept, and the
    next call continues.
    """
    loading = _Loading(source, db, overwrite, dry_run, progress)
    if len(loading.ledger) and not (merge or overwrite):
        loading.check_destination()
    loading.begin("writing")
    coming = batches((row, fingerprint(row)) for row in source.read())
    with closing(ahead(coming) if source.ahead else coming) as incoming:
        for batch in incoming:
            for kind, group in groupby(batch, key=lambda item: item[0].kind):
                loading.add(kind, list(group))
            loading.go_on(len(batch))
    if not dry_run:
        loading.verify()
    loading.result.phase = "done"
    return loading.result


_MERGE = (
    "Nothing was written. Use --merge (merge=True) to keep what it holds and add what is missing, "
    "or choose an empty destination."
)


Printed = tuple[Record, Print]
"""A row of the source with its fingerprint."""


class _Loading:
    def __init__(
        self,
        source: Source,
        db: MemoryDb,
        overwrite: bool,
        dry_run: bool,
        progress: Callable[[Loaded], object],
    ) -> None:
        self.source, self.db, self.overwrite, self.dry_run = source, db, overwrite, dry_run
        self.progress, self.result = progress, Loaded()
        self.ledger = Ledger(self._there())
        self.expected: Tally = self.ledger.tally

    def _there(self) -> Iterable[Record]:
        if not any(counts(self.db).values()):
            return ()
        return self._read_back("comparing")

    def _read_back(self, phase: str) -> Iterator[Record]:
        """Yield the rows of the destination, and tell how many those are so far."""
        self.begin(phase)
        with closing(ahead(batches(records(self.db)))) as found:
            for batch in found:
                yield from batch
                self.go_on(len(batch))

    def begin(self, phase: str) -> None:
        """Tell that a phase begins."""
        self.result.phase, self.result.passed = phase, 0
        self.progress(self.result)

    def go_on(self, rows: int) -> None:
        """Tell that it has passed so many rows more."""
        self.result.passed += rows
        self.progress(self.result)

    def check_destination(self) -> None:
        """Raise DestinationError when it holds rows that do not come from the source."""
        if not self.source.again:
            raise DestinationError(
                f"The destination is not empty (rows: {len(self.ledger):,}), and a pipe cannot be "
                f"read twice to compare. {_MERGE}"
            )
        others = self.ledger.others(self.source.read())
        if others:
            raise DestinationError(
                f"The destination is not empty (rows: {len(self.ledger):,}; of these, not in the "
                f"source with the same content: {others:,}). {_MERGE}"
            )

    def add(self, kind: Kind, batch: list[Printed]) -> None:
        """Write what is missing of a batch."""
        if kind is Kind.MEMORY:
            self.result.memories += len(batch)
        else:
            self.result.summaries += len(batch)
        new: list[Printed] = []
        differing: list[Printed] = []
        for item in batch:
            state = self.ledger.state(*item) if len(self.ledger) else State.NEW
            if state is State.NEW:
                new.append(item)
            elif state is State.SAME:
                self.result.same += 1
                self.result.retimed += self.ledger.print_of(item[0]).times != item[1].times
            elif state is State.DIFFERS and self.overwrite:
                differing.append(item)
            else:
                self.result.differing += 1
                _note(self.result.differing_ids, item[0].id)
        for (row, print), stored in self._stored(new, write_new):
            self.result.new += 1
            self.result.restarted_versions += stored.version != row.version
            self.expected.add(row.user_id, print)
        for (row, _), stored in self._stored(differing, write_over):
            self.result.overwritten += 1
            self.expected.add(row.user_id, self.ledger.print_of(row), -1)
            self.expected.add(row.user_id, fingerprint(stored))

    def _stored(
        self, batch: list[Printed], write: Callable[[MemoryDb, list[Record]], list[Record]]
    ) -> Iterator[tuple[Printed, Record]]:
        """Write a batch; yield each row that was stored, with what is stored."""
        rows = [row for row, _ in batch]
        if not rows or self.dry_run:
            yield from zip(batch, rows, strict=True)
            return
        try:
            yield from zip(batch, write(self.db, rows), strict=True)
        except InvalidMemoryError as error:
            if len(batch) > 1:  # Find out which ones; the others are not to suffer.
                for item in batch:
                    yield from self._stored([item], write)
                return
            self.result.refused += 1
            _note(self.result.refused_rows, {"id": rows[0].id, "reason": str(error)})

    def verify(self) -> None:
        """Read the destination back and compare it with what must be there."""
        actual = Tally()
        for row in self._read_back("verifying"):
            actual.add(row.user_id, fingerprint(row))
        self.result.users = actual.users
        self.result.mismatches = self.expected.differences(actual)
        self.result.verified = True


def _note(list: list[Any], item: Any) -> None:
    if len(list) < SHOWN:
        list.append(item)
