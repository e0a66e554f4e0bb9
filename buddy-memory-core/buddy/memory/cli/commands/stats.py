"""``stats``: how much there is, of whom, and since when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import click

from buddy.memory.cli.commands.look import note_of, show_note
from buddy.memory.cli.output import emit, facts, table
from buddy.memory.cli.parameters import json_option, opened, url_argument
from buddy.memory.cli.text import iso, owner, payload_bytes, plain, size, time
from buddy.memory.storage.record import Kind, Record

TOP = 5


@dataclass
class Stats:
    """Sums over the rows of a store; sizes in bytes of JSON."""

    rows: Counter[Kind] = field(default_factory=Counter[Kind])
    by_user: Counter[str | None] = field(default_factory=Counter[str | None])
    bytes: int = 0
    largest: int = 0
    largest_id: str | None = None
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, row: Record) -> None:
        """Count one row in."""
        self.rows[row.kind] += 1
        self.by_user[row.user_id] += 1
        size = payload_bytes(row.payload)
        self.bytes += size
        if size > self.largest:
            self.largest, self.largest_id = size, row.id
        self.oldest = min(self.oldest or row.created_at, row.created_at)
        self.newest = max(self.newest or row.updated_at, row.updated_at)

    def as_dict(self) -> dict[str, Any]:
        """Return the sums for scripts."""
        return {
            "memories": self.rows[Kind.MEMORY],
            "summaries": self.rows[Kind.SUMMARY],
            "users": len(self.by_user),
            "bytes": self.bytes,
            "largest_bytes": self.largest,
            "largest_id": self.largest_id,
            "first_created_at": iso(self.oldest),
            "last_updated_at": iso(self.newest),
            "top_users": [{"user_id": u, "rows": n} for u, n in self.by_user.most_common(TOP)],
        }


@click.command("stats")
@url_argument
@json_option
def stats_command(url: str, as_json: bool) -> None:
    """Count rows, users and bytes. Reads every row."""
    from buddy.memory.transfer.rows import records

    stats = Stats()
    with opened(url) as db:
        for row in records(db):
            stats.add(row)
        note = "" if as_json or stats.by_user else note_of(db)
    if as_json:
        emit(stats.as_dict())
        return
    largest = f"{size(stats.largest)}" + (
        f" ({plain(stats.largest_id)})" if stats.largest_id is not None else ""
    )
    facts(
        [
            ("memories", f"{stats.rows[Kind.MEMORY]:,}"),
            ("summaries", f"{stats.rows[Kind.SUMMARY]:,}"),
            ("users", f"{len(stats.by_user):,}"),
            ("payloads", size(stats.bytes)),
            ("largest", largest),
            ("first created", time(stats.oldest)),
            ("last updated", time(stats.newest)),
        ]
    )
    if stats.by_user:
        most = stats.by_user.most_common(TOP)
        table(("Most rows", "Rows"), [(owner(u), f"{n:,}") for u, n in most], right=("Rows",))
    show_note(note)
