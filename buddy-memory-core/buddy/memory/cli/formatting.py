"""Stored text on a terminal: data, never control sequences or markup."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from buddy.memory.payload import canonical_json

# Invisible, and part of ordinary text: joiners of emoji and scripts, the no-break space.
_HARMLESS = {" ", "\u00a0", "\u200c", "\u200d", "\ufe0f"}


def plain(text: str) -> str:
    """Return ``text`` with everything that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]  # What is JSON stays so.


def one_line(text: str, width: int = 300) -> str:
    """Return ``text`` in one line of at most ``width`` characters, fit to be shown."""
    text = plain(" ".join(text[: 4 * width].split()))
    return text if len(text) <= width else text[: width - 1] + "…"


def shown_user(user_id: str | None) -> str:
    """Return how a user is shown: nobody is a dash, an empty id is seen to be one."""
    if user_id is None:
        return "-"
    return plain(user_id) or '""'


def time(value: datetime | None) -> str:
    """Return a time in UTC to the second, or a dash."""
    if value is None:
        return "-"
    # Not strftime, which writes the year 1 as it likes.
    shown = value.astimezone(timezone.utc).replace(tzinfo=None)
    return shown.isoformat(" ", "seconds") + "Z"


def iso(value: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC with microseconds, for scripts."""
    if value is None:
        return None
    return value.astimezone(timezone.utc).isoformat(timespec="microseconds")


def size(bytes: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if bytes < 1024 or unit == "GiB":
            return f"{bytes:,.0f} {unit}" if unit == "B" else f"{bytes:,.1f} {unit}"
        bytes /= 1024
    raise AssertionError


def payload_bytes(payload: dict[str, Any]) -> int:
    """Return how many bytes the payload takes as JSON."""
    return len(canonical_json(payload))


def remedy(text: str) -> str:
    """Return what does here what an error's text tells to do in code; "" when there is nothing."""
    here, copied = "From the command line", "buddy-memory copy --from-legacy URL NEW_URL"
    if "upgrade()" in text:
        return f"{here}: buddy-memory upgrade URL. To leave the store as it is: {copied}"
    if "iter_legacy_memories()" in text:
        return f"{here}: {copied}"
    if "needs an embedder" in text:
        return f"{here}: pass --embedder MODULE:NAME."
    return f"{here}: pass --user ID, or --nobody." if "pass user_id=" in text else ""


def many(number: int, noun: str, plural: str = "") -> str:
    """Return for example "1 row" or "2,000 rows"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
