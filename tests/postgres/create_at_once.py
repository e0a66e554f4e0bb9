"""Run by a test: many processes make the same tables, round after round.

python create_at_once.py URL SCHEMA PROCESSES ROUNDS
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

from buddy.memory.v2.db.postgres import PostgresMemoryDb


def work(url: str, schema: str, rounds: int, barrier: Any) -> None:
    dbs = [PostgresMemoryDb("notes", f"{schema}_{number}", url) for number in range(rounds)]
    try:
        for db in dbs:
            barrier.wait()
            db.create()
            assert db.table_exists()
    except BaseException:
        barrier.abort()  # Nobody has to wait for this one.
        raise


def main() -> None:
    url, schema, processes, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(processes)
    arguments = (url, schema, rounds, barrier)
    workers = [context.Process(target=work, args=arguments) for _ in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(sum(worker.exitcode != 0 for worker in workers))


if __name__ == "__main__":
    main()
