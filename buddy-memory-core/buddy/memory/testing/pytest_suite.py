"""The kit as a pytest class."""

from __future__ import annotations

import pytest

from buddy.memory.testing.backend_under_test import BackendUnderTest
from buddy.memory.testing.check import CHECKS, Check, NotVerified

QUICK = [check for check in CHECKS if not check.big]
BIG = [check for check in CHECKS if check.big]


class Conformance:
    """Derive from this; its fixture ``subject`` returns a BackendUnderTest on an empty store.

    A check that the BackendUnderTest does not equip is skipped with the reason; with
    ``complete = True`` it fails, unless ``lacks`` names the field, as what the backend cannot
    have.
    """

    complete = False
    lacks: frozenset[str] = frozenset()

    @pytest.mark.parametrize("check", QUICK, ids=[check.id for check in QUICK])
    def test_rule(self, check: Check, subject: BackendUnderTest) -> None:
        """One fact of one rule holds."""
        self._run(check, subject)

    @pytest.mark.parametrize("check", BIG, ids=[check.id for check in BIG])
    def test_rule_on_many_rows(self, check: Check, subject: BackendUnderTest) -> None:
        """One fact of one rule holds with thousands of rows. Set this to None in the classes of a
        backend but one, where it takes long."""
        self._run(check, subject)

    def _run(self, check: Check, subject: BackendUnderTest) -> None:
        try:
            check.run(subject)
        except NotVerified as reason:
            if not self.complete:
                pytest.skip(str(reason))
            if not self.lacks.intersection(check.needs):
                raise
