"""newname keeps every rule of buddy-memory: v1, v2 and async."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from buddy.memory.testing import BackendUnderTest
from buddy.memory.testing.pytest_suite import Conformance
from buddy_memory_newname import v1, v2
from buddy_memory_newname.encoding import from_key


class OnNewname(Conformance):
    # A check that the BackendUnderTest does not equip fails, unless the backend cannot have it.
    complete = True
    lacks = frozenset({"secret"})
    cls: Any

    @pytest.fixture
    def subject(self, tmp_path: Path) -> BackendUnderTest:
        cls, url = self.cls, f"newname:///{tmp_path}"

        def corrupt(id: str) -> None:
            file = tmp_path / "notes.json"
            content = json.loads(file.read_text())
            for key, row in content["memory"].items():
                if from_key(key).id == id:
                    row["payload"] = '{"torn'
            file.write_text(json.dumps(content))

        return BackendUnderTest(
            open=lambda: cls("notes", url),
            neighbour=lambda: cls("notes2", url),
            named=lambda name: cls(name, url),
            expiring=lambda: cls("notes", url, expire=3600),
            unreachable=lambda: cls("notes", "newname:////dev/null/folder"),
            corrupt=corrupt,
            order_without_clocks=True,
            order_across_users=True,
            forks=True,
        )


class TestV1(OnNewname):
    cls = v1.NewnameMemoryDb


class TestV2(OnNewname):
    cls = v2.NewnameMemoryDb


class TestAsync(OnNewname):
    cls = v2.AsyncNewnameMemoryDb
