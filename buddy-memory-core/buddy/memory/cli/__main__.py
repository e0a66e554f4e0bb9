"""``python -m buddy.memory.cli``."""

from __future__ import annotations

import sys

from buddy.memory.cli import main

if __name__ == "__main__":
    sys.exit(main())
