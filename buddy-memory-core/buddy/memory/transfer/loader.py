"""Bring rows from anywhere into a database, once, however often it is tried.

Rows that the destination holds already are skipped, so that a call which was killed is continued by
calling again. At the end the destination is read back, and counts and checksums are compared for
each user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import Any, NamedTuple

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.storage.record import Key, Kind, Record
from buddy.memory.transfer.batches import ahead, batches
from buddy.memory.transfer.checksums import Print, fingerprint
from buddy.memory.transfer.destination_index import DestinationIndex, State
from buddy.memory.transfer.errors import DestinationError
from buddy.memory.transfer.result import SHOWN, Loaded
from buddy.memory.transfer.rows import counts, keeps_ends_and_vectors, read_record, records, write
from buddy.memory.v2.db.base import MemoryDb


class Source(NamedTuple):
    """Rows with distinct users and ids. ``read`` yields them in order; ``again``: more than once;
    ``ahead``: also in a thread, since reading them always ends. ``total`` is their number, where
    that is known."""

    read: Callable[[], Iterator[Record]]
    again: bool = True
    ahead: bool = False
    total: int | None = None


def load(
    source: Source,
    db: MemoryDb,
    *,
    merge: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    drop_expiry: bool = False,
    progress: Callable[[Loaded], object] = lambda so_far: None,
) -> Loaded:
    """Bring the rows of ``source`` into ``db``; return what became of them.

    A destination that holds rows which do not come from the source is refused with a
    DestinationError, before anything is written, unless ``merge``. A row that is there with other
    content is left alone, unless ``overwrite``, which implies ``merge``. So is a destination that
    keeps no ends, where rows of the source have one, unless ``drop_expiry``; of a pipe, the rows
    before the first such one are stored. ``progress`` is called after each batch and when a phase
    begins. Rows that end before the destination is read back are counted in ``ended``.

    Raises what the source and the database raise; what was written until then is kept, and the
    next call continues.
    """
    loading = _Loading(source, db, overwrite, dry_run, drop_expiry, progress)
    loading.check_ends()
    if len(loading.destination) and not (merge or overwrite):
        loading.check_destination()
    loading.begin("writing", source.total)
    coming = batches((row, fingerprint(row)) for row in loading.source_rows())
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
        drop_expiry: bool,
        progress: Callable[[Loaded], object],
    ) -> None:
        self.source, self.db, self.overwrite, self.dry_run = source, db, overwrite, dry_run
        self.drop_expiry = drop_expiry
        self.progress, self.result = progress, Loaded()
        self.destination = DestinationIndex(self._there())
        self.expected = self.destination.expected
        self._refused: set[tuple[Kind, Key]] = set()

    def source_rows(self) -> Iterator[Record]:
        """Yield the rows of the source, as the destination can hold them."""
        if keeps_ends_and_vectors(self.db):
            yield from self.source.read()
            return
        self.result.without_end = 0
        for row in self.source.read():
            if row.expires_at is not None:
                if not self.drop_expiry:
                    raise DestinationError(
                        "The destination keeps no ends, and rows of the source have one: the "
                        f"{row.kind.value} {row.id!r}, for example. It was not written. Use "
                        "--drop-expiry (drop_expiry=True) to store such rows for ever."
                    )
                self.result.without_end += 1
            yield row._replace(expires_at=None, vector=None)

    def check_ends(self) -> None:
        """Raise DestinationError, before anything is written, when it would lose ends of rows."""
        if self.source.again and not (self.drop_expiry or keeps_ends_and_vectors(self.db)):
            for _ in self.source_rows():
                pass

    def _there(self) -> Iterable[Record]:
        rows = sum(counts(self.db).values())
        return self._read_back("comparing", rows) if rows else ()

    def _read_back(self, phase: str, total: int) -> Iterator[Record]:
        """Yield the rows of the destination, and tell how many those are so far."""
        self.begin(phase, total)
        with closing(ahead(batches(records(self.db)))) as found:
            for batch in found:
                yield from batch
                self.go_on(len(batch))

    def begin(self, phase: str, total: int | None) -> None:
        """Tell that a phase begins, and of how many rows."""
        self.result.phase, self.result.passed, self.result.total = phase, 0, total
        self.progress(self.result)

    def go_on(self, rows: int) -> None:
        """Tell that it has passed so many rows more."""
        self.result.passed += rows
        self.progress(self.result)

    def check_destination(self) -> None:
        """Raise DestinationError when it holds rows that do not come from the source."""
        rows = len(self.destination)
        if not self.source.again:
            raise DestinationError(
                f"The destination is not empty (rows: {rows:,}), and a pipe cannot be read twice "
                f"to compare. {_MERGE}"
            )
        others = self.destination.others(self.source_rows())
        if others:
            raise DestinationError(
                f"The destination is not empty (rows: {rows:,}; of these, not in the source with "
                f"the same content: {others:,}). {_MERGE}"
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
            state = self.destination.state(*item) if len(self.destination) else State.NEW
            if state is State.NEW:
                new.append(item)
            elif state is State.SAME:
                self.result.same += 1
                self.result.retimed += self.destination.print_of(item[0]).times != item[1].times
            elif state is State.DIFFERS and self.overwrite:
                differing.append(item)
            else:
                self.result.differing += 1
                _note(self.result.differing_rows, _named(item[0]))
        there = {item[0].key: item for item in new}
        for (row, print), stored in self._stored(new):
            del there[row.key]
            self.result.new += 1
            self.result.restarted_versions += stored.version != row.version
            self.expected.add(row, print)
        for row, print in there.values():
            self._compare(row, print)
        for (row, _), stored in self._stored(differing, over=True):
            self.result.overwritten += 1
            stored = stored._replace(expires_at=row.expires_at, vector=row.vector)
            self.expected.replace(stored, self.destination.print_of(row))

    def _compare(self, row: Record, print: Print) -> None:
        """Count a row that somebody else stored since the destination was read, as it stands."""
        found = read_record(self.db, row)
        if found is None:
            if (row.kind, row.key) not in self._refused:  # Deleted again, or never stored.
                self.expected.add(row, print)  # Verifying tells.
            return
        stored = fingerprint(found)
        self.expected.add(found, stored)
        if stored.content == print.content:
            self.result.same += 1
            self.result.retimed += stored.times != print.times
        else:
            self.result.differing += 1
            _note(self.result.differing_rows, _named(row))

    def _stored(
        self, batch: list[Printed], *, over: bool = False
    ) -> Iterator[tuple[Printed, Record]]:
        """Write a batch; yield each row that was stored, with what is stored."""
        rows = [row for row, _ in batch]
        if not rows or self.dry_run:
            yield from zip(batch, rows, strict=True)
            return
        try:
            written = {record.key: record for record in write(self.db, rows, over=over)}
            for item in batch:
                if item[0].key in written:
                    yield item, written[item[0].key]
        except InvalidMemoryError as error:
            if len(batch) > 1:  # Find out which ones; the others are not to suffer.
                for item in batch:
                    yield from self._stored([item], over=over)
                return
            self._refused.add((rows[0].kind, rows[0].key))
            self.result.refused += 1
            _note(self.result.refused_rows, {**_named(rows[0]), "reason": str(error)})

    def verify(self) -> None:
        """Read the destination back and compare it with what must be there."""
        rows = self._read_back("verifying", sum(counts(self.db).values()))
        found = self.expected.compare(rows)
        self.result.users, self.result.mismatches, self.result.ended = found
        self.result.verified = True


def _named(row: Record) -> dict[str, str | None]:
    return {"user_id": row.user_id, "id": row.id}


def _note(list: list[Any], item: Any) -> None:
    if len(list) < SHOWN:
        list.append(item)
