"""A doctor for one database and for our own installation; ``buddy-memory check`` shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING
from uuid import uuid4

from buddy.memory.cli import exit_codes, installation
from buddy.memory.cli.formatting import iso, many, remedy
from buddy.memory.cli.row_output import IN_MEMORY, is_in_memory
from buddy.memory.config import redact
from buddy.memory.errors import MemoryDbError, SchemaError, UnsupportedError
from buddy.memory.registry import open_memory_db

if TYPE_CHECKING:
    from buddy.memory.v2.db.base import MemoryDb

PINGS = 5
NEWEST = 1_000
"""Memories whose vectors are looked at."""
PROBE_USER = "buddy-memory check"
"""The user of the row that is written, read and deleted."""

_REINDEX = "buddy-memory reindex makes them; until then they are not found by meaning"


class _Warning(str):
    """What a question found that should be different."""


@dataclass
class Finding:
    """One line of the doctor's report; ``state`` is "ok", "warning", "failed" or "not tried"."""

    check: str
    state: str
    detail: str
    exit_code: int = exit_codes.OK


def examine(url: str, *, write: bool = True, create: bool = False) -> Iterator[Finding]:
    """Examine a database and this installation, one thing after the other.

    ``write`` writes, reads and deletes a row of our own; ``create`` makes missing tables. What went
    wrong is a finding, and ends the examination.
    """
    return _Doctor(url, write, create).findings()


class _Doctor:
    """Asks one thing after the other; what needs an answer that failed is not tried."""

    def __init__(self, url: str, write: bool, create: bool) -> None:
        self.url, self.write, self.create = url, write, create
        self.info: dict[str, str] = {}

    def findings(self) -> Iterator[Finding]:
        yield _installation()
        try:
            db = open_memory_db(self.url)
        except MemoryDbError as error:
            yield _failed("config", error)
            return
        with db:
            settings = [
                f"{k}={v}" for k, v in db.to_dict().items() if v is not None and k != "name"
            ]
            yield Finding("config", "ok", " ".join([type(db).__name__, *settings]))
            for name, ask in self._questions(db):
                finding = _ask(name, ask)
                yield finding
                if finding.state == "failed":
                    return
                if name == "settings":
                    yield from (Finding("risk", "warning", risk) for risk in _risks(db, self.info))

    def _questions(self, db: MemoryDb) -> Iterator[tuple[str, Callable[[], str | None]]]:
        yield "connection", lambda: _ping(db)
        yield "settings", lambda: self._server_info(db)
        if self.create:
            yield "create", lambda: _create(db)
        yield "tables", lambda: _tables(db)
        yield "expiry", lambda: _expired(db)
        yield "vectors", lambda: _vectors(db)
        if self.write:
            # A check changes nothing by itself, and the first write would make the tables.
            yield "writing", lambda: _round_trip(db) if db.table_exists() else None

    def _server_info(self, db: MemoryDb) -> str | None:
        from buddy.memory.storage.sync_database import StoreBackedContract

        self.info = db.server_info() if isinstance(db, StoreBackedContract) else {}
        return ", ".join(f"{name} {value}" for name, value in self.info.items()) or None


def _ask(name: str, ask: Callable[[], str | None]) -> Finding:
    try:
        detail = ask()
    except MemoryDbError as error:
        return _failed(name, error)
    if detail is None:
        return Finding(name, "not tried", _UNTRIED[name])
    return Finding(name, "warning" if isinstance(detail, _Warning) else "ok", detail)


_UNTRIED = {
    "settings": "the backend tells nothing of itself",
    "expiry": "rows of this backend do not end",
    "vectors": "this backend keeps none",
    "writing": "there are no tables yet; --create makes them",
}


def _failed(name: str, error: MemoryDbError) -> Finding:
    detail = redact(" ".join(str(error).split()))
    return Finding(name, "failed", f"{detail} {remedy(detail)}".rstrip(), exit_codes.code_of(error))


def _ping(db: MemoryDb) -> str:
    db.ping()  # Connects.
    times = sorted(_seconds(db.ping) for _ in range(PINGS))
    return f"answers in {_ms(times[PINGS // 2])}"


def _risks(db: MemoryDb, info: dict[str, str]) -> list[str]:
    from buddy.memory.storage.sync_database import StoreBackedContract

    found = db.durability_warnings(info) if info and isinstance(db, StoreBackedContract) else []
    return found or ([IN_MEMORY] if is_in_memory(db) else [])


def _create(db: MemoryDb) -> str:
    db.create()
    return "the tables are there"


def _tables(db: MemoryDb) -> str:
    from buddy.memory.transfer.legacy_source import LegacySource

    there = db.table_exists()
    db.read_memories(limit=1)  # Raises where the layout is not of today.
    # Where rows of older software do not stand in the way, nothing else tells of them.
    if LegacySource(db).any():
        raise SchemaError("There are memories of older software.", "Call upgrade().")
    try:
        db.read_summaries(limit=1)
    except UnsupportedError:
        return "there and current; this backend keeps no summaries"
    return "there and current" if there else "not made yet: the first write makes them"


def _expired(db: MemoryDb) -> str | None:
    from buddy.memory.storage.sync_database import StoreBackedContract

    if not isinstance(db, StoreBackedContract):
        return None
    rows, since = db.expired_rows()
    if not rows:
        return "no expired rows are left to be removed"
    when = "" if since is None else f", the first since {iso(since)}"
    text = f"{many(rows, 'expired row')} still stored{when}: buddy-memory sweep removes them"
    return _Warning(text)


def _vectors(db: MemoryDb) -> str | None:
    """Say whether the newest memories have vectors, and all of one model."""
    from buddy.memory.search.row_text import default_texts, texts_of
    from buddy.memory.search.vectors import TAG_BYTES
    from buddy.memory.storage.record import EVERYBODY, Kind
    from buddy.memory.storage.sync_database import StoreBackedContract

    if not isinstance(db, StoreBackedContract):
        return None
    newest = islice(db.iter_records(Kind.MEMORY, EVERYBODY, newest_first=True), NEWEST)
    rows = [row for row in newest if row.vector or any(texts_of(default_texts, row.payload))]
    models = Counter(row.vector[:TAG_BYTES] for row in rows if row.vector)
    if not models:
        return "none are stored: searches are by words"
    missing, of = (
        len(rows) - models.total(),
        f"of the newest {many(len(rows), 'memory', 'memories')}",
    )
    if len(models) > 1:
        rest = models.total() - max(models.values())
        return _Warning(
            f"{of}, {rest:,} have vectors of another model, {missing:,} have none: {_REINDEX}"
        )
    if missing:
        return _Warning(f"{of}, {missing:,} have no vector: {_REINDEX}")
    return f"{of}, all have vectors of one model"


def _round_trip(db: MemoryDb) -> str:
    from buddy.memory.rows import MemoryRow

    row = MemoryRow({"memory": "written by a check"}, f"check-{uuid4()}", PROBE_USER)
    assert row.id is not None
    write = _seconds(lambda: db.upsert_memory(row))
    try:
        found = None

        def read() -> None:
            nonlocal found
            found = db.read_memory(row.id or "", user_id=PROBE_USER)

        seconds = _seconds(read)
    finally:
        delete = _seconds(lambda: db.delete_memories([row.id or ""], user_id=PROBE_USER))
    if found is None or found.memory != row.memory:
        raise SchemaError("What was written is not what was read.")
    return f"wrote in {_ms(write)}, read in {_ms(seconds)}, deleted in {_ms(delete)}"


def _seconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _installation() -> Finding:
    found = installation.inspect()
    if found.sound:
        detail = "no other distribution has files in buddy/memory"
        if not found.verifiable:
            detail += "; an editable install has no hashes to compare"
        return Finding("installation", "ok", detail)
    parts = [f"{name} has files in buddy/memory, too" for name in found.others]
    for what, paths in (("changed", found.changed), ("missing", found.missing)):
        if paths:
            parts.append(f"{many(len(paths), 'file')} of ours {what} ({', '.join(paths[:3])})")
    detail = f"{'; '.join(parts)}. Repair: {found.advice()}"
    return Finding("installation", "failed", detail, exit_codes.NO)
