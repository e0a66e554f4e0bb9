"""A pytest plugin: the SQLiteSession that the SDK's own tests make is a BuddySession."""

from __future__ import annotations

import hashlib
import os
from itertools import count
from pathlib import Path
from typing import Any

import agents
import agents.memory
import agents.memory.sqlite_session

from buddy.memory import open_async_memory_db
from buddy_memory_openai import BuddySession

_numbers = count()


class AsSQLiteSession(BuddySession):
    """Takes what SQLiteSession takes. One path is one store; ``:memory:`` a new one each time."""

    def __init__(
        self, session_id: str, db_path: str | Path = ":memory:", session_settings: Any = None
    ) -> None:
        name = f"{os.getpid()}n{next(_numbers)}"
        if str(db_path) != ":memory:":
            name = hashlib.sha256(f"{os.getpid()}{db_path}".encode()).hexdigest()[:20]
        db = open_async_memory_db(os.environ["BUDDY_TEST_URL"].replace("NAME", name))
        super().__init__(session_id, db, session_settings=session_settings)

    def close(self) -> None:
        """As SQLiteSession; the process ends soon."""


for module in (agents, agents.memory, agents.memory.sqlite_session):
    module.SQLiteSession = AsSQLiteSession  # type: ignore[misc,assignment]
