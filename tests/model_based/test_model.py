"""Every backend answers a random sequence of operations as the reference does, errors included.

BUDDY_TEST_SEEDS=100-900 tries other sequences than those of every day.
"""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from buddy.memory.testing.assertions import clock
from tests.model_based.database_apis import DatabaseApis
from tests.model_based.operations import Operations
from tests.model_based.reference import Reference

FIRST, LAST = map(int, os.environ.get("BUDDY_TEST_SEEDS", "1-9").split("-"))
LENGTH = 150


@pytest.mark.parametrize("seed", range(FIRST, LAST + 1))
def test_a_sequence(database: DatabaseApis, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Objects of v1, v2 and asyncio on one store give the answers of the reference, whatever ids,
    users, payloads, times and arguments they are called with, and whatever the clock does."""
    caplog.set_level(logging.CRITICAL)
    store = Reference()
    reference = DatabaseApis(store.openers(database.openers), database.across_users)
    operations = Operations(seed, database.across_users)
    marks: dict[tuple[Any, str | None], Any] = {}
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for number, operation in enumerate(operations.take(LENGTH)):
        with clock(now):
            answer = database.outcome(operation)
            store.told = database.stored
            assert answer == reference.outcome(operation), (number, operation)
            if operation.call == "mark" and answer[0] is str:
                # Equal marks mean equal rows.
                (user,) = operation.arguments
                rows = reference.rows_of(user)
                mark = database.change_mark(user)
                assert marks.setdefault((user, mark), rows) == rows, (number, operation)
        now += timedelta(microseconds=operation.tick)
    assert database.everything() == reference.everything()
    reference.close()
