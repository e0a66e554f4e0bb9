"""Run the benchmarks of the named backends (all of them), one after the other.

    ./run bench [BACKEND…]

Each compares this project with hand-written driver code in the same run, on a server that it starts
itself; see benchmarks/README.md for how to read the tables.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BENCHMARKS = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"no benchmark of {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, BENCHMARKS[name]], cwd=HERE, check=True)


if __name__ == "__main__":
    main()
