"""The receipt of ``forget_user``: what was erased, and whether it is gone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """What ``forget_user`` did. It names the user and the store, and holds no payload.

    ``user_id`` None is nobody: the rows without a user. ``erased_at`` is aware, in UTC.
    A count of what was erased is None where a failure left it unknown, and ``summaries_erased``
    also where the backend has no summaries (``summaries_supported``). ``legacy_erased`` counts rows
    that older software left. ``remaining`` counts the rows that were found afterwards, None where
    that is not known. ``reason`` says why the receipt is not verified, "" where it is.
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

    @property
    def verified(self) -> bool:
        """Whether nothing of the user was found afterwards."""
        return self.remaining == 0 and not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Return the receipt as a JSON object, with ``verified`` in it."""
        facts = asdict(self)
        if not facts.pop("summaries_supported"):
            facts["summaries_erased"] = "not supported"
        return {**facts, "erased_at": self.erased_at.isoformat(), "verified": self.verified}
