"""The checks of the kit that depend on how a client was made, and not on the layout alone."""

from __future__ import annotations

import pytest

from buddy.memory.testing import CHECKS, BackendUnderTest
from buddy.memory.testing.check import Check
from buddy.memory.testing.pytest_suite import Conformance

_RULES = {"R5", "R7", "R9", "R10", "R11", "R12", "R15", "R21"}

CLIENT_CHECKS = [
    check
    for check in CHECKS
    if (check.rule in _RULES or "expiring" in check.needs) and not check.big
]


class ClientConformance(Conformance):
    """For a second way to a store on which all checks run by the first one."""

    @pytest.mark.parametrize("check", CLIENT_CHECKS, ids=[check.id for check in CLIENT_CHECKS])
    def test_rule(self, check: Check, subject: BackendUnderTest) -> None:
        """One fact of one rule holds."""
        self._run(check, subject)

    test_rule_on_many_rows = None
