"""Run the kit and a load on engines, and write what came of it.

    ./run engines [NAME…] [--seconds 30] [--quick]

--quick is a load of nine seconds and no kit. All names without --quick write
benchmarks/ENGINES.md; otherwise nothing is kept. The exit code is 1 where an engine is not sound:
a check of the kit failed, an acknowledged write is missing or was stored twice, or an error of a
driver came out. An asynchronous replica may lose what was acknowledged last: there it is shown.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from buddy.memory import open_memory_db
from buddy.memory.testing import CHECKS
from buddy.memory.testing.temporary_stores import Scratch, faces
from tests.engines import firestore, postgres, redis
from tests.engines.engine import Engine, Start
from tests.engines.load import Outcome, run_load

COLUMNS = ("engine", "version", "kit", "what happened", "acknowledged", "lost", "twice", "pause",
           "errors", "foreign")  # fmt: skip
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "ENGINES.md"

ENGINES: dict[str, list[Start]] = {
    "postgres": [postgres.primary_and_standby],
    "redis": [redis.sentinels, redis.cluster],
    "firestore": [firestore.google] if firestore.available() else [],
}
MAY_LOSE = (redis.sentinels, redis.cluster)
"""Their replicas follow a moment later: a failover loses what was acknowledged in it."""

HEAD = """# Engines of several nodes

<!-- --8<-- [start:page] -->
Written by `./run engines`. On each engine the conformance kit runs, and then, for {seconds:g}
seconds, two writers and a reader; after a third of them a node is killed. A ledger of its own keeps
what the writers were told. *Lost* are acknowledged writes that are not there in the end; *twice*
those that were stored twice; *pause* is the longest time between two successful calls of a client;
*errors* are calls that raised one of ours, which a caller may repeat; *foreign* those that raised
a driver's.

"""


def kit(engine: Engine) -> str:
    """Run the quick checks of the kit; return what came of them, beginning with "0 failed"."""
    cls = faces(engine.url)["v2"]
    scratch = Scratch(engine.url, "v2", cls, engine.options)
    outcomes = list(scratch.run(check for check in CHECKS if not check.big))
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failed:
        say(f"  {outcome.check.id}: {outcome.reason}")
    passed = sum(outcome.status == "passed" for outcome in outcomes)
    return f"{len(failed)} failed, {passed} passed"


def more_tests(engine: Engine) -> bool:
    """Run the tests that an engine names besides; return whether they passed."""
    if engine.tests is None:
        return True
    arguments, variables = engine.tests
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *arguments]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, check=False)
    return ran.returncode == 0


def load(engine: Engine, seconds: float) -> Outcome | None:
    """Run the load, where the engine can be hurt."""
    if engine.hurt is None:
        return None
    return run_load(partial(open_memory_db, engine.url, **engine.options), seconds, engine.hurt)


def row(engine: Engine, checked: str, outcome: Outcome | None) -> str:
    cells: list[Any] = [engine.title, engine.version, checked]
    if outcome is None:
        cells += ["", "", "", "", "", "", ""]
    else:
        errors = ", ".join(f"{number} {name}" for name, number in outcome.errors.items())
        cells += [engine.done, f"{outcome.acknowledged:,}", f"{outcome.lost:,}", outcome.twice]
        cells += [f"{outcome.longest:.1f} s", errors or "none", outcome.foreign]
    return f"| {' | '.join(map(str, cells))} |"


def lines(names: list[str], seconds: float, *, quick: bool) -> Iterator[tuple[str, bool]]:
    """Yield a line of the table for each engine, and whether it was sound."""
    for start in (start for name in names for start in ENGINES[name]):
        with start() as engine:
            say(f"{engine.title}: running")
            checked = "" if quick else kit(engine)
            passed = quick or more_tests(engine)
            outcome = load(engine, seconds)
        sound = passed and (checked.startswith("0 ") or quick)
        if outcome is not None:
            kept = outcome.sound if start not in MAY_LOSE else not outcome.foreign
            sound = sound and kept
        yield row(engine, checked, outcome), sound


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run engines", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*ENGINES, []])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    seconds = min(given.seconds, 9) if given.quick else given.seconds
    table = [f"| {' | '.join(COLUMNS)} |", "| --- | --- | --- | --- |" + " ---: |" * 6]
    all_sound = True
    for line, sound in lines(given.name or list(ENGINES), seconds, quick=given.quick):
        table.append(line)
        all_sound = all_sound and sound
    print("\n".join(table))
    if not (given.name or given.quick):
        text = HEAD.format(seconds=seconds) + "\n".join(table)
        RESULTS.write_text(f"{text}\n<!-- --8<-- [end:page] -->\n")
    sys.exit(not all_sound)


if __name__ == "__main__":
    main()
