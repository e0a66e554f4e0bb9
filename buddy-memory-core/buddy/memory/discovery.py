"""Entry points of installed distributions, as claims to backend names.

Nothing here imports a plugin, and no other distribution's broken metadata can stop the scan.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

GROUPS = {"v1": "buddy.memory.db", "v2": "buddy.memory.v2.db", "async": "buddy.memory.v2.db.async"}
"""The entry-point group of each kind of backend."""

logger = logging.getLogger("buddy.memory")


class Claim(NamedTuple):
    """A distribution says: this name is that class. ``kind`` is a key of GROUPS."""

    kind: str
    name: str
    value: str
    distribution: str
    version: str


def scan() -> list[Claim]:
    """Return every claim on ``sys.path``; one that is seen twice counts once."""
    return list(dict.fromkeys(_claims()))


def _claims() -> Iterator[Claim]:
    from importlib.metadata import distributions

    kinds = {group: kind for kind, group in GROUPS.items()}
    for distribution in distributions():
        try:
            text = distribution.read_text("entry_points.txt")
            if not text or "buddy.memory" not in text:
                continue
            name = distribution.metadata["Name"].lower().replace("_", "-").replace(".", "-")
            version = distribution.version
            for entry in distribution.entry_points:
                if entry.group in kinds:
                    yield Claim(kinds[entry.group], entry.name, entry.value, name, version)
        except Exception as error:
            logger.debug("skipped unreadable metadata of a distribution: %r", error)
