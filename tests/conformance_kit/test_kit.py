"""The kit itself: every broken backend is caught by the check that is named for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.testing import CHECKS, BackendUnderTest, NotVerified, run_checks
from buddy.memory.v2.db.store_backed import StoreBackedMemoryDb
from tests.conformance_kit.broken_backends.declare import load

BROKEN = load()
BY_ID = {check.id: check for check in CHECKS}


@pytest.mark.parametrize(("name", "check"), BROKEN, ids=lambda value: value)
def test_a_broken_backend_is_caught(name: str, check: str, tmp_path: Path) -> None:
    """The named check fails on the backend that breaks its rule."""
    make = BROKEN[name, check]
    (outcome,) = run_checks(lambda: make(tmp_path), [BY_ID[check]])
    assert outcome.status == "failed", outcome


def test_every_check_catches_a_broken_backend() -> None:
    """There is a broken backend for each check, where it is for both kinds for one of them."""

    def fact(check: str) -> str:
        return check.removesuffix("-memory").removesuffix("-summary")

    assert {fact(check) for _, check in BROKEN} == set(map(fact, BY_ID))


def test_the_checks_run_without_pytest() -> None:
    """run_checks says for each check whether it passed, failed, or could not be tried, and why."""

    def subject() -> BackendUnderTest:
        store = InMemoryStore()
        return BackendUnderTest(open=lambda: StoreBackedMemoryDb(store), waits=False)

    outcomes = run_checks(subject)
    assert [outcome.check for outcome in outcomes] == list(CHECKS)
    assert {outcome.status for outcome in outcomes} == {"passed", "not verified"}
    for outcome in outcomes:
        assert bool(outcome.reason) == (outcome.status == "not verified")


def test_a_check_that_needs_more_is_not_verified() -> None:
    """A check whose means the BackendUnderTest does not give raises NotVerified by name."""
    store = InMemoryStore()
    with pytest.raises(NotVerified, match="unreachable"):
        BY_ID["R7-failure-is-never-emptiness"].run(
            BackendUnderTest(open=lambda: StoreBackedMemoryDb(store))
        )
