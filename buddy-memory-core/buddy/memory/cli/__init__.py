"""The command ``buddy-memory`` (extra ``cli``)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command with ``args`` (None: those of the process); return its exit code."""
    if find_spec("click") is None or find_spec("rich") is None:
        sys.stderr.write("The command line needs more: pip install 'buddy-memory-core[cli]'\n")
        return 2
    from buddy.memory.cli.app import run

    return run(args)
