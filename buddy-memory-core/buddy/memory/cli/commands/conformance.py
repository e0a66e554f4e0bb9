"""``conformance``: the kit on any installed backend, without pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from buddy.memory.cli import exit_codes
from buddy.memory.cli.formatting import many, plain
from buddy.memory.cli.output import console, emit, say, table, tell
from buddy.memory.cli.parameters import json_option, url_argument
from buddy.memory.cli.progress import Progress
from buddy.memory.config import redact, redact_url
from buddy.memory.errors import ConfigError

if TYPE_CHECKING:
    from buddy.memory.testing import Check, Outcome
    from buddy.memory.testing.temporary_stores import Scratch

_NEEDS = {
    "corrupt": "a damaged row",
    "expiring": "a BackendUnderTest that opens a store whose rows end",
    "forks": "data outside of this process",
    "named": "stores that have names",
    "neighbour": "stores that have names",
    "order_across_users": "a BackendUnderTest that promises order over users",
    "order_without_clocks": "a BackendUnderTest that promises order whatever clocks say",
    "unreachable": "--unreachable URL",
    "secret": "a password in the URL of --unreachable",
    "waits": "a backend that waits for something",
}
_STATES = ("passed", "failed", "not supported", "not verified")
_TABLE_WIDTH = 88
_RULES = [*[f"R{n}" for n in range(1, 17)], "R18", "R21"]


@dataclass
class _Report:
    """The outcomes so far, by api."""

    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.outcomes)

    def counts(self, rule: str) -> Counter[str]:
        return Counter(o.status for _, o in self.outcomes if o.check.rule == rule)

    def by_reason(self, *states: str) -> dict[tuple[Check, str], list[str]]:
        """Return the faces by check and reason, of the outcomes with these states."""
        found: dict[tuple[Check, str], list[str]] = {}
        for api, outcome in self.outcomes:
            if outcome.status in states:
                found.setdefault((outcome.check, _safe(outcome.reason)), []).append(api)
        return found

    @property
    def untried(self) -> list[str]:
        """The rules of which nothing was verified, and something would have been."""
        rules = dict.fromkeys(outcome.check.rule for _, outcome in self.outcomes)
        tallies = {rule: self.counts(rule) for rule in rules}
        return [r for r, n in tallies.items() if n["not verified"] and not n["passed"]]

    @property
    def failed(self) -> bool:
        return any(outcome.status == "failed" for _, outcome in self.outcomes)


def _safe(reason: str) -> str:
    return "\n".join(map(plain, redact(reason).split("\n")))


@click.command("conformance")
@url_argument
@click.option(
    "--rule", "rules", multiple=True, type=click.Choice(_RULES, case_sensitive=False),
    metavar="RULE", help="Only this rule, such as R3; may be repeated.",
)  # fmt: skip
@click.option(
    "--api", "kinds", multiple=True, type=click.Choice(["v1", "v2", "async"]),
    help="Only this class; may be repeated.",
)  # fmt: skip
@click.option(
    "--option", "pairs", multiple=True, metavar="NAME=VALUE",
    help="An argument of the constructor; may be repeated.",
)  # fmt: skip
@click.option(
    "--unreachable", metavar="URL",
    help="One of the same backend where nothing answers, with a password that must not be shown.",
)  # fmt: skip
@click.option("--here", is_flag=True, help="Use the store that URL names; it must not exist yet.")
@json_option
@click.pass_context
def conformance_command(
    ctx: click.Context,
    url: str,
    rules: tuple[str, ...],
    kinds: tuple[str, ...],
    pairs: tuple[str, ...],
    unreachable: str | None,
    here: bool,
    as_json: bool,
) -> None:
    """Try a backend against the rules.

    Runs the conformance kit on the classes that URL (or module:Class) leads to. Each check gets a
    store of its own beside your data, called buddy_check_…, and drops it afterwards; no other
    store is touched. What cannot be tried this way, such as reading a damaged row, is "not
    verified"; the kit's pytest class can be told how. Exit code 1 when a check fails, 6 when none
    does and of some rule nothing was verified.
    """
    from buddy.memory.testing import CHECKS

    checks = [check for check in CHECKS if not rules or check.rule in rules]
    options = {"options": dict(map(_pair, pairs)), "here": here, "unreachable": unreachable}
    scratches = dict(_scratches(url, kinds, options))
    report = _Report()
    try:
        total = len(checks) * len(scratches)
        with Progress("checking", total) as progress:
            for api, scratch in scratches.items():
                for outcome in scratch.run(checks):
                    report.outcomes.append((api, outcome))
                    progress.update(report)
                checks = [check for check in checks if not check.big]  # Once for each backend.
    finally:
        left = [line for scratch in scratches.values() for line in scratch.left]
        for line in left:
            tell(f"not dropped: {_safe(line)}", "yellow")
    if as_json:
        emit(_as_json(url, list(scratches), report, left))
    else:
        _show(list(scratches), report)
    if report.failed or left:
        ctx.exit(exit_codes.NO)
    ctx.exit(exit_codes.NOT_VERIFIED if report.untried else exit_codes.OK)


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise click.BadParameter(f"{text!r} is no NAME=VALUE", param_hint="--option")
    return name, value


def _scratches(
    url: str, kinds: tuple[str, ...], options: dict[str, Any]
) -> Iterator[tuple[str, Scratch]]:
    from buddy.memory.testing.temporary_stores import Scratch, faces

    if not __debug__:
        raise ConfigError("The checks are assertions: run Python without -O.")
    found = faces(url)
    if kinds and not found.keys() & set(kinds):
        raise ConfigError(f"{redact_url(url)} has no such class; it has {', '.join(found)}")
    for kind, cls in found.items():
        if not kinds or kind in kinds:
            yield kind, Scratch(url, kind, cls, **options)


def _as_json(url: str, faces: list[str], report: _Report, left: list[str]) -> dict[str, Any]:
    from buddy.memory.testing.rules.titles import RULES

    tried = {outcome.check.rule for _, outcome in report.outcomes}
    return {
        "url": redact_url(url),
        "faces": faces,
        "rules": {
            rule: {"title": title, **{s: report.counts(rule)[s] for s in _STATES}}
            for rule, title in RULES.items()
            if rule in tried
        },
        "checks": [
            {
                "id": outcome.check.id,
                "rule": outcome.check.rule,
                "api": api,
                "fact": outcome.check.fact,
                "status": outcome.status,
                "reason": redact(outcome.reason),
            }
            for api, outcome in report.outcomes
        ],
        "not_dropped": [redact(line) for line in left],
    }


def _show(faces: list[str], report: _Report) -> None:
    from buddy.memory.testing.rules.titles import RULES

    tallies = {rule: report.counts(rule) for rule in RULES}
    if console().width < _TABLE_WIDTH:
        for rule, counts in tallies.items():
            if counts:
                say(f"{_mark(counts)} {rule} {RULES[rule]}: {_in_words(counts)}")
    else:
        rows = [
            (_mark(counts), rule, *[str(counts[s] or "") for s in _STATES], RULES[rule])
            for rule, counts in tallies.items()
            if counts
        ]
        columns = ("", "Rule", *[state.capitalize() for state in _STATES], "About")
        table(columns, rows, right=columns[2:-1])
    for (check, reason), on in report.by_reason("failed").items():
        say(f"✗ {check.id} ({', '.join(on)})", "bold red")
        say(f"  {check.fact}.")
        for line in reason.split("\n"):
            say(f"    {line}")
    for state in _STATES[2:]:
        _show_untried(state, report.by_reason(state))
    say(_verdict(faces, report))


def _mark(counts: Counter[str]) -> str:
    return "✗" if counts["failed"] else "✓" if counts["passed"] else "-"


def _show_untried(state: str, found: dict[tuple[Check, str], list[str]]) -> None:
    rules: dict[str, dict[str, None]] = {}
    for check, reason in found:
        need = _NEEDS.get(reason.rpartition(": ")[2])
        rules.setdefault(f"needs {need}" if need else reason, {})[check.rule] = None
    for reason, of in rules.items():
        say(f"- {', '.join(of)} {state}: {reason}", "dim")


def _verdict(faces: Iterable[str], report: _Report) -> str:
    counts: Counter[str] = Counter(outcome.status for _, outcome in report.outcomes)
    return f"{many(report.rows, 'check')} on {', '.join(faces)}: {_in_words(counts)}"


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[state]} {state}" for state in _STATES if counts[state])
