"""How memories are chosen for a caller."""

from __future__ import annotations

from collections.abc import Sequence

from buddy.memory.errors import ConfigError

METHODS = ("last_n", "first_n", "keyword", "semantic", "hybrid")
"""The newest, the oldest, or what a search finds (see ``MemoryDb.search_memories``)."""

ALL = 2**63 - 1
"""The limit of a search that returns all that it finds."""


def check_method(method: object, known: Sequence[str], argument: str) -> str:
    """Return a retrieval method out of ``known``; raises ConfigError that lists them and names the
    argument."""
    name = getattr(method, "value", method)
    if name in known:
        return str(name)
    raise ConfigError(f"{argument} must be one of {', '.join(known)}, not {name!r:.80}")
