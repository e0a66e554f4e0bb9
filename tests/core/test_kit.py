"""The kit itself: every mutant dies by the check that is named for it."""

from __future__ import annotations

import pytest

from buddy.memory.storage.inmemory import InMemoryStore
from buddy.memory.testing import CHECKS, NotVerified, Subject, run_checks
from buddy.memory.v2.db.stored import StoredMemoryDb
from tests.core.subtle import MUTANTS
from tests.core.test_contract import Eight

BY_ID = {check.id: check for check in CHECKS}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_backend_is_caught(name: str) -> None:
    """The named check fails on the backend that breaks its rule."""
    kills, make = MUTANTS[name]
    (outcome,) = run_checks(make, [BY_ID[kills]])
    assert outcome.status == "failed", outcome


def test_every_rule_has_a_mutant() -> None:
    """There is a mutant for each of R1 to R16."""
    assert {kills.partition("-")[0] for kills, _ in MUTANTS.values()} == {
        f"R{n}" for n in range(1, 17)
    }


def test_the_checks_run_without_pytest() -> None:
    """run_checks says for each check whether it passed, failed, or could not be tried, and why."""

    def subject() -> Subject:
        store = InMemoryStore()
        return Subject(open=lambda: StoredMemoryDb(store), waits=False)

    outcomes = run_checks(subject)
    assert [outcome.check for outcome in outcomes] == list(CHECKS)
    assert {outcome.status for outcome in outcomes} == {"passed", "not verified"}
    for outcome in outcomes:
        assert bool(outcome.reason) == (outcome.status == "not verified")


def test_what_a_backend_lacks_is_not_supported() -> None:
    """That a backend of eight methods has no summaries is said, and is no failure."""
    db = Eight()
    outcomes = run_checks(
        lambda: Subject(open=lambda: db), [BY_ID["R4-limit-is-the-first-n-summary"]]
    )
    assert [outcome.status for outcome in outcomes] == ["not supported"]


def test_what_the_eight_methods_do_not_owe_is_not_supported() -> None:
    """if_version, and the user_id and the answer of a deletion, may be missing."""
    db = Eight()
    versions = [check for check in CHECKS if check.rule == "R13"]
    outcomes = run_checks(lambda: Subject(open=lambda: db), versions)
    states = {o.check.id: o.status for o in outcomes if o.check.id.endswith("-memory")}
    assert states.pop("R13-a-version-counts-the-writes-memory") == "failed"
    assert set(states.values()) == {"not supported"}


def test_a_check_that_needs_more_is_not_verified() -> None:
    """A check whose means the Subject does not give raises NotVerified by name."""
    store = InMemoryStore()
    with pytest.raises(NotVerified, match="unreachable"):
        BY_ID["R7-failure-is-never-emptiness"].run(Subject(open=lambda: StoredMemoryDb(store)))
