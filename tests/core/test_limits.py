"""What no backend may hold, wherever it comes from: versions, times, numbers, texts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from buddy.memory import MemoryRow, open_memory_db
from buddy.memory.conversation.models import ask
from buddy.memory.errors import ConfigError, InvalidMemoryError
from buddy.memory.payload import from_json
from buddy.memory.storage.record import MAX_VERSION
from buddy.memory.storage.sync_runner import run
from buddy.memory.transfer import jsonl_format

LINE = (
    '{"kind":"memory","user_id":"ann","id":"a","payload":{},"created_at":"%s",'
    '"updated_at":"2026-01-01T00:00:00+00:00","row_version":%s}'
)


class Strange(datetime):
    """A time whose own methods answer otherwise, as those of other libraries do."""

    def isoformat(self, *_: Any) -> str:
        return "the other day"

    def __str__(self) -> str:
        return "the other day"


TOO_MUCH = [
    '{"x": 1e400}',
    '{"x": [-1E999]}',
    '{"x": 123456789012345678901}',
    '{"x":' * 99 + "1" + "}" * 99,
]
ENOUGH = ['{"x":9223372036854775807,"y":1e300}', '{"x":"1e400 123456789012345678901"}']


@pytest.mark.parametrize("text", TOO_MUCH)
def test_json_that_cannot_be_written_again_is_unreadable(text: str) -> None:
    """Numbers and nesting beyond what a payload holds are a ValueError, not inf."""
    with pytest.raises(ValueError, match=r"JSON|64 bits|deep|nested"):
        from_json(text)


@pytest.mark.parametrize("text", ENOUGH)
def test_json_up_to_the_limits_is_read(text: str) -> None:
    """The largest numbers are read, and texts that only look like larger ones."""
    assert from_json(text)["x"] in (2**63 - 1, "1e400 123456789012345678901")


@pytest.mark.parametrize("version", [0, -1, MAX_VERSION + 1, 2**63])
def test_versions_have_one_bound(version: int) -> None:
    """A row from elsewhere has a version that every backend counts on from exactly."""
    with open_memory_db("memory://") as db:
        restore: Any = db.restore_memories  # type: ignore[attr-defined]
        if version:
            with pytest.raises(ConfigError, match="version"):
                restore([MemoryRow({}, "a", "ann", version=version)])
        assert [
            row.version for row in restore([MemoryRow({}, "a", "ann", version=MAX_VERSION)])
        ] == [MAX_VERSION]
    with pytest.raises(ValueError, match=r"row_version is from 1|fit into 64 bits"):
        jsonl_format.parse((LINE % ("2026-01-01T00:00:00+00:00", version)).encode(), 2)


def test_a_time_that_leaves_the_calendar_is_named() -> None:
    """A line of an export whose time is none in UTC says which."""
    with pytest.raises(ValueError, match="created_at is no time in UTC"):
        jsonl_format.parse((LINE % ("0001-01-01T00:00:00+05:00", 1)).encode(), 2)


def test_times_of_other_libraries_become_plain() -> None:
    """A subclass of datetime is stored and returned as what it says."""
    moment = Strange(2026, 5, 4, 3, 2, 1, 678, timezone(timedelta(hours=2)))
    with open_memory_db("sqlite") as db:
        row = db.upsert_memory(MemoryRow({}, "a", "ann", created_at=moment))
        assert type(row.created_at) is datetime
        assert row.created_at == datetime(2026, 5, 4, 1, 2, 1, 678, timezone.utc)
        assert db.read_memory("a") == row

        class Never(datetime):
            def astimezone(self, *_: Any) -> Any:
                raise TypeError("not a time")

        with pytest.raises(InvalidMemoryError, match="created_at"):
            db.upsert_memory(MemoryRow({}, "b", "ann", created_at=Never(2026, 1, 1)))


class Liar(str):
    def __str__(self) -> str:
        return "a lie"

    __repr__ = __str__


class LyingList(list[str]):
    def __iter__(self) -> Any:
        return iter(["a lie"])


class LyingInt(int):
    def __int__(self) -> int:
        return 99

    __index__ = __int__

    def __str__(self) -> str:
        return "99"


def test_subclasses_are_stored_as_what_they_are() -> None:
    """What the methods of a str, an int or a list say of it is not stored in its place."""
    payload = {Liar("key"): Liar("true"), "list": LyingList(["x"]), "int": LyingInt(5)}
    with open_memory_db("sqlite") as db:
        row = db.upsert_memory(MemoryRow(payload, Liar("a"), Liar("ann")))
        assert row.memory == {"key": "true", "list": ["x"], "int": 5}
        assert {type(value) for value in row.memory.values()} == {str, list, int}
        assert (row.id, row.user_id, type(row.id)) == ("a", "ann", str)
        assert db.read_memory("a", user_id="ann") == row


def test_prompts_hold_no_lone_surrogate() -> None:
    """A text that no encoder takes stands in a prompt as an escape."""
    asked: list[Any] = []

    async def call(model: Any, messages: Any) -> str:
        asked.extend(messages)
        return "fine"

    message = {"role": "user", "content": "broken \ud83d here"}
    assert run(ask(call, lambda messages: "", [message])) == "fine"
    assert asked == [{"role": "user", "content": "broken \\ud83d here"}]
