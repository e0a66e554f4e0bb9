"""The checks of the kit that depend on how a client was made, and not on the layout alone."""

from __future__ import annotations

from buddy.memory.testing import CHECKS

_RULES = {"R5", "R7", "R9", "R10", "R11", "R12", "R15", "R21"}

CLIENT_CHECKS = [check for check in CHECKS if check.rule in _RULES]
"""For a second way to the same store; all checks run on the first one."""

CLIENT_IDS = [check.id for check in CLIENT_CHECKS]
