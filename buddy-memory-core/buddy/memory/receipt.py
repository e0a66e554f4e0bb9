"""The receipt of ``forget_user``: what was erased, and whether it is gone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from buddy.memory.payload import canonical_json

_CHECKSUM = "sha256"

_MEMBERS: Mapping[str, type | tuple[type, ...]] = {
    "user_id": (str, type(None)),
    "store": str,
    "erased_at": str,
    "verified": bool,
    _CHECKSUM: str,
}
"""What no receipt lacks, and its types."""


@dataclass(frozen=True)
class Receipt:
    """What ``forget_user`` did. It names the user and the store, and holds no payload.

    ``user_id`` None is nobody: the rows without a user. ``erased_at`` is aware, in UTC.
    A count of what was erased is None where a failure left it unknown, and ``summaries_erased``
    also where the backend has no summaries (``summaries_supported``). ``legacy_erased`` counts rows
    that older software left. ``remaining`` counts the rows that were found afterwards, None where
    that is not known. ``reason`` says why the receipt is not verified, "" where it is. ``versions``
    are those of buddy-memory-core and of the backend's distribution, by name.
    """

    user_id: str | None
    store: str
    erased_at: datetime
    memories_erased: int | None
    summaries_erased: int | None
    legacy_erased: int
    remaining: int | None
    reason: str = ""
    summaries_supported: bool = True
    versions: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def verified(self) -> bool:
        """Whether nothing of the user was found afterwards."""
        return self.remaining == 0 and not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as a JSON object, with ``verified`` and a checksum in it.

        ``sha256`` is that of all other members as ASCII JSON with sorted keys and no blanks:
        ``json.dumps(members, sort_keys=True, separators=(",", ":"))``. It shows that a receipt was
        kept as it was made; it is no signature, and whoever changes a receipt can make it anew.
        """
        facts = asdict(self)
        if not facts.pop("summaries_supported"):
            facts["summaries_erased"] = "not supported"
        facts.update(erased_at=self.erased_at.isoformat(), verified=self.verified)
        return {**facts, _CHECKSUM: _checksum(facts)}


listeners: list[Callable[[Receipt], object]] = []
"""What is shown each receipt; they do not raise."""


def show(receipt: Receipt) -> None:
    """Show a receipt to whoever listens: the plugins."""
    for listener in listeners:
        listener(receipt)


def is_intact(facts: Mapping[str, Any]) -> bool:
    """Tell whether what ``Receipt.to_dict`` returned is as it was made.

    Raises ValueError where ``facts`` is no receipt: without a user, a store, a time or a checksum.
    """
    for name, kinds in _MEMBERS.items():
        if name not in facts:
            raise ValueError(f"no receipt: it has no {name}")
        if not isinstance(facts[name], kinds):
            raise ValueError(f"no receipt: its {name} is a {type(facts[name]).__name__}")
    others = {name: value for name, value in facts.items() if name != _CHECKSUM}
    return bool(facts[_CHECKSUM] == _checksum(others))


def _checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
