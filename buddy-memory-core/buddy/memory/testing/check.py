"""Checks by rule: how one is declared, and how all are run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from buddy.memory.errors import UnsupportedError
from buddy.memory.storage.record import Kind
from buddy.memory.testing.backend_under_test import BackendUnderTest, Rows, Trial
from buddy.memory.testing.explain import explain


class NotVerified(Exception):
    """The BackendUnderTest does not say how to try this."""


@dataclass(frozen=True)
class Check:
    """One fact about a backend. ``rule`` is a key of RULES, ``fact`` a sentence.

    ``big`` ones write thousands of rows: once for each backend is enough.
    """

    rule: str
    name: str
    fact: str
    needs: tuple[str, ...]
    body: Callable[[Trial], None]
    only: str = ""
    big: bool = False

    @property
    def id(self) -> str:
        """A readable identifier: the rule and the name."""
        return f"{self.rule}-{self.name}"

    def run(self, subject: BackendUnderTest) -> None:
        """Raise AssertionError when the fact does not hold, NotVerified when it cannot be tried."""
        if not __debug__:
            raise RuntimeError("the checks are assertions: run Python without -O")
        for need in self.needs:
            if not getattr(subject, need):
                raise NotVerified(f"the subject does not say: {need}")
        trial = Trial(subject)
        try:
            if self.only and trial.is_async != (self.only == "async"):
                return
            self.body(trial)
        except AssertionError as error:
            raise AssertionError(explain(error)) from error
        finally:
            trial.close()


_CALLS_SHOWN = 3
_checks: list[Check] = []


def check(
    rule: str, *needs: str, only: Literal["", "sync", "async"] = "", big: bool = False
) -> Callable[[Callable[[Trial], None]], Callable[[Trial], None]]:
    """Declare a check of the whole database. ``needs`` names the fields that it uses."""

    def declare(body: Callable[[Trial], None]) -> Callable[[Trial], None]:
        made = _make(rule, body.__name__, body, body, needs, only)
        _checks.append(replace(made, big=big))
        return body

    return declare


def check_rows(
    rule: str, *needs: str, only: Literal["", "sync", "async"] = ""
) -> Callable[[Callable[[Rows], None]], Callable[[Rows], None]]:
    """Declare a check that holds for memories and for summaries alike, and is run for both."""

    def declare(body: Callable[[Rows], None]) -> Callable[[Rows], None]:
        for kind in Kind:

            def run(trial: Trial, kind: Kind = kind) -> None:
                body(Rows(trial, kind))

            _checks.append(_make(rule, f"{body.__name__}-{kind.value}", body, run, needs, only))
        return body

    return declare


def _make(
    rule: str,
    name: str,
    described: Callable[..., Any],
    body: Callable[[Trial], None],
    needs: Iterable[str],
    only: str,
) -> Check:
    fact = " ".join((described.__doc__ or "").split()).rstrip(".")
    return Check(rule, name.replace("_", "-"), fact, tuple(needs), body, only)


class Outcome(NamedTuple):
    """The result of one check: passed, failed, "not supported" or "not verified", and why."""

    check: Check
    status: Literal["passed", "failed", "not supported", "not verified"]
    reason: str = ""


def run_checks(
    make_subject: Callable[[], BackendUnderTest], checks: Iterable[Check] | None = None
) -> list[Outcome]:
    """Run the checks (all by default), each on an empty store; never raises for a failed one."""
    return [run_check(check, make_subject()) for check in (CHECKS if checks is None else checks)]


def run_check(check: Check, subject: BackendUnderTest) -> Outcome:
    """Run one check; never raises for a failed one."""
    try:
        check.run(subject)
    except NotVerified as reason:
        return Outcome(check, "not verified", str(reason))
    except UnsupportedError as reason:
        return Outcome(check, "not supported", str(reason))
    except AssertionError as error:
        return Outcome(check, "failed", str(error))
    except Exception as error:
        return Outcome(check, "failed", f"{type(error).__name__}: {error}\n{_place_of(error)}")
    return Outcome(check, "passed")


def _place_of(error: Exception) -> str:
    """Return the innermost calls that an error came through, outermost first."""
    calls = traceback.extract_tb(error.__traceback__)[-_CALLS_SHOWN:]
    return "\n".join(f"  at {call.filename}:{call.lineno} in {call.name}" for call in calls)


def _collect() -> tuple[Check, ...]:
    from buddy.memory.testing import rules

    rules.load()
    return tuple(sorted(_checks, key=lambda check: int(check.rule[1:])))


CHECKS: tuple[Check, ...] = _collect()
"""Every check, in the order of the rules."""
