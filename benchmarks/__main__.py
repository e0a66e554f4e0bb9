"""Measure buddy-memory against hand-written driver code and what people use today.

    ./run bench [BACKEND…] [--sizes 1000,100000] [--quick]
    ./run bench scopes [BACKEND…] [--rows N]     users, prefixes and ids in a large store
    ./run bench expiry [BACKEND…] [--rows N]     rows that have ended, and their removal
    ./run bench search FOLDER [BACKEND…]         what searches find, and how long they take

Starts the real servers, measures one backend after the other, each in a process of its own, and
writes results.json, RESULTS.md and the plots beside this file. Backends that are not named keep
their results. --quick is for trying it: few rows, few rounds, and nothing is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import expiry, scopes, search
from benchmarks.backends import BACKENDS

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"


def machine() -> dict[str, Any]:
    """Return what the results were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": f"{os.cpu_count()} × {names[0] if names else platform.machine()}",
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def measured(name: str, options: list[str]) -> dict[str, Any] | None:
    """Measure one backend; None, with a message, when nothing came out of it."""
    found_on = machine()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, "-m", "benchmarks.session", name, str(file), *options]
        environment = {**os.environ, "GRPC_VERBOSITY": "NONE"}
        code = subprocess.run(command, env=environment, cwd=HERE.parent, check=False).returncode
        if code:
            print(f"[bench] {name} ended with code {code}; the others go on", file=sys.stderr)
        if not file.exists():
            return None
        return {"machine": found_on, **json.loads(file.read_text())}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="./run bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("backend", nargs="*", metavar="BACKEND", help=", ".join(BACKENDS))
    parser.add_argument("--sizes", help="numbers of rows; default: what the server bears")
    parser.add_argument("--quick", action="store_true", help="a trial, in a minute or two")
    parser.add_argument("--draw", action="store_true", help="only write tables and plots anew")
    apart = {"scopes": scopes.main, "expiry": expiry.main, "search": search.main}
    if sys.argv[1:2] and sys.argv[1] in apart:
        apart[sys.argv[1]](sys.argv[2:])
        return
    arguments = parser.parse_args()
    unknown = set(arguments.backend) - set(BACKENDS)
    if unknown:
        parser.error(f"no backend {', '.join(sorted(unknown))}; there are {', '.join(BACKENDS)}")
    options = ["--quick"] if arguments.quick else []
    options += ["--sizes", arguments.sizes] if arguments.sizes else []
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    failed = []
    for name in [] if arguments.draw else arguments.backend or list(BACKENDS):
        found = measured(name, options)
        if found is None:
            failed.append(name)
        elif not arguments.quick:
            results[name] = found
            results = {name: results[name] for name in BACKENDS if name in results}
            text = json.dumps(results, indent=1, ensure_ascii=False)
            RESULTS.write_text(text + "\n")
    if not arguments.quick:
        from benchmarks import plots, report

        report.write(HERE / "RESULTS.md", results)
        plots.draw(HERE / "plots", results)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
