"""The kit as a pytest class."""

from __future__ import annotations

import pytest

from buddy.memory.testing.check import CHECKS, Check, NotVerified
from buddy.memory.testing.subject import Subject


class Conformance:
    """Derive from this and give it a fixture ``subject`` that returns a Subject on an empty store.

    A check that the Subject does not equip is skipped with the reason; with ``complete = True`` it
    fails, unless ``lacks`` names what the backend cannot have (a field of Subject).
    """

    complete = False
    lacks: frozenset[str] = frozenset()

    @pytest.mark.parametrize("check", CHECKS, ids=[check.id for check in CHECKS])
    def test_rule(self, check: Check, subject: Subject) -> None:
        """One fact of one rule holds."""
        try:
            check.run(subject)
        except NotVerified as reason:
            if not self.complete:
                pytest.skip(str(reason))
            if not self.lacks.intersection(check.needs):
                raise
