"""``buddy-memory-encryption``: make a key, or rotate the keys of a store."""

from __future__ import annotations

import argparse
import sys

from buddy.memory import open_memory_db
from buddy.memory.errors import MemoryDbError


def main(arguments: list[str] | None = None) -> int:
    """Return 0, or 1 when something went wrong or rows could not be read."""
    parser = argparse.ArgumentParser(prog="buddy-memory-encryption", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("new-key", help="print a random key")
    rotating = commands.add_parser("rotate", help="seal every row with the newest key")
    rotating.add_argument("url", help="the database, as for open_memory_db")
    given = parser.parse_args(arguments)
    return _new_key() if given.command == "new-key" else _rotate(given.url)


def _new_key() -> int:
    from buddy_memory_encryption.keys import new_key

    sys.stdout.write(f"{new_key()}\n")
    return 0


def _rotate(url: str) -> int:
    from buddy_memory_encryption.rotation import rotate

    try:
        with open_memory_db(url) as db:
            done = rotate(db)
    except (MemoryDbError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    rows = "row" if done.rewritten == 1 else "rows"
    sys.stdout.write(f"{done.rewritten} {rows} sealed anew, {done.unreadable} unreadable\n")
    return 1 if done.unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
