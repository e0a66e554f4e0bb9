"""Every backend answers a random sequence of operations as the reference does, errors included.

BUDDY_TEST_SEEDS=100-900 tries other sequences than those of every day.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta, timezone

import pytest

from buddy.memory.testing.expect import clock
from tests.agreement.faces import Faces
from tests.agreement.reference import Reference
from tests.agreement.steps import Steps

FIRST, LAST = map(int, os.environ.get("BUDDY_TEST_SEEDS", "1-9").split("-"))
LENGTH = 150


@pytest.mark.parametrize("seed", range(FIRST, LAST + 1))
def test_a_sequence(place: Faces, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Objects of v1, v2 and asyncio on one place give the answers of the reference, whatever ids,
    users, payloads, times and arguments they are called with, and whatever the clock does."""
    caplog.set_level(logging.CRITICAL)
    store = Reference()
    reference = Faces(store.openers(place.openers))
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for number, step in enumerate(Steps(seed).take(LENGTH)):
        with clock(now):
            answer = place.outcome(step)
            store.told = place.stored_ids
            assert answer == reference.outcome(step), (number, step)
        now += timedelta(microseconds=step.tick)
    assert place.everything() == reference.everything()
    reference.close()
