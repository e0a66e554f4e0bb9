"""``stats``: how much there is, of whom, and since when."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import click

from buddy.memory.cli.formatting import iso, payload_bytes, plain, shown_user, size, time
from buddy.memory.cli.output import emit, facts, table
from buddy.memory.cli.parameters import json_option, opened, url_argument, whose_options
from buddy.memory.cli.row_output import note_of, show_note
from buddy.memory.storage.record import Kind, Record
from buddy.memory.storage.users import Nobody

TOP = 5


@dataclass
class Stats:
    """Sums over the rows of a store; sizes in bytes of JSON."""

    rows: Counter[Kind] = field(default_factory=Counter[Kind])
    by_user: Counter[str | None] = field(default_factory=Counter[str | None])
    bytes: int = 0
    largest: int = 0
    largest_id: str | None = None
    largest_user: str | None = None
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, row: Record) -> None:
        """Count one row in."""
        self.rows[row.kind] += 1
        self.by_user[row.user_id] += 1
        size = payload_bytes(row.payload)
        self.bytes += size
        if size > self.largest:
            self.largest, self.largest_id, self.largest_user = size, row.id, row.user_id
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
            "largest_user_id": self.largest_user,
            "first_created_at": iso(self.oldest),
            "last_updated_at": iso(self.newest),
            "top_users": [{"user_id": u, "rows": n} for u, n in self.by_user.most_common(TOP)],
        }


@click.command("stats")
@url_argument
@whose_options
@json_option
def stats_command(url: str, user: str | Nobody | None, as_json: bool) -> None:
    """Count rows, users and bytes. Reads every row of these."""
    from buddy.memory.transfer.rows import records

    stats = Stats()
    with opened(url) as db:
        for row in records(db, user):
            stats.add(row)
        note = "" if as_json or stats.by_user else note_of(db)
    if as_json:
        emit(stats.as_dict())
        return
    largest = size(stats.largest)
    if stats.largest_id is not None:
        largest += f" ({plain(stats.largest_id)} of {shown_user(stats.largest_user)})"
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
        table(("Most rows", "Rows"), [(shown_user(u), f"{n:,}") for u, n in most], right=("Rows",))
    show_note(note)
