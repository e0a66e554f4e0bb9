"""Settings of hypothesis: no test of this project looks at a clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("buddy", deadline=None)
settings.load_profile("buddy")
