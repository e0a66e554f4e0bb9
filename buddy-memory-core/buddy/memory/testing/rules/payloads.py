"""R8: payloads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from enum import Enum
from math import copysign, inf, nan
from typing import Any
from uuid import UUID

from buddy.memory.errors import InvalidMemoryError, TooLargeError
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows
from buddy.memory.testing.check import check_rows
from buddy.memory.testing.rules.cases import PAYLOADS, nested


class Color(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: Any


class Model:
    """Looks like a pydantic model, which the kit does not need to import."""

    def model_dump(self) -> dict[str, Any]:
        return {"when": date(2026, 1, 2), "color": Color.RED}


def same(one: Any, two: Any) -> bool:
    """Tell whether two JSON values are equal and of the same types, the sign of zero included."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float):
        return one == two and copysign(1, one) == copysign(1, two)
    return bool(one == two)


@check_rows("R8")
def what_was_written_is_what_is_read(rows: Rows) -> None:
    """Every JSON object comes back as it was written: by the write, by id, in lists, from bulk."""
    for name, payload in PAYLOADS.items():
        assert same(rows.payload(rows.add(name, payload)), payload), name
        assert same(rows.payload(rows.get(name)), payload), name
    for row in rows.read():
        assert same(rows.payload(row), PAYLOADS[row.id]), row.id
    bulk = [rows.new(f"bulk {name}", payload) for name, payload in PAYLOADS.items()]
    for row in rows.upsert_many(bulk):
        assert same(rows.payload(row), PAYLOADS[row.id[5:]]), row.id
        assert same(rows.payload(rows.get(row.id)), PAYLOADS[row.id[5:]]), row.id


@check_rows("R8")
def an_update_replaces_the_payload(rows: Rows) -> None:
    """An update replaces the whole payload: no old key survives."""
    rows.add("a", {"old": 1, "both": {"x": 1, "y": 2}})
    rows.add("a", {"both": {"x": 3}})
    assert rows.payload(rows.get("a")) == {"both": {"x": 3}}
    rows.upsert_many([rows.new("a", {})])
    assert rows.payload(rows.get("a")) == {}


@check_rows("R8")
def common_python_types_have_one_json_form(rows: Rows) -> None:
    """datetime, date, UUID, Decimal, Enum, dataclasses, models and tuples have one JSON form."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, timezone.utc)
    uuid = UUID("12345678123456781234567812345678")
    row = rows.add(
        "a",
        {
            "datetime": moment,
            "date": date(2026, 1, 2),
            "uuid": uuid,
            "decimal": Decimal("1.10"),
            "enum": Color.RED,
            "dataclass": Point(1, (2, 3)),
            "model": Model(),
        },
    )
    expected = {
        "datetime": "2026-01-02T03:04:05.000006+00:00",
        "date": "2026-01-02",
        "uuid": "12345678-1234-5678-1234-567812345678",
        "decimal": "1.10",
        "enum": "red",
        "dataclass": {"x": 1, "y": [2, 3]},
        "model": {"when": "2026-01-02", "color": "red"},
    }
    assert rows.payload(row) == expected
    assert rows.payload(rows.get("a")) == expected


@check_rows("R8")
def what_is_no_json_is_refused_by_its_path(rows: Rows) -> None:
    """Anything else is refused with the path of the bad value, and nothing is stored."""
    top = rows.kind.value
    bad: dict[str, Any] = {
        f"{top}.a.b[1]": {"a": {"b": [1, nan]}},
        f"{top}.inf": {"inf": -inf},
        f"{top}.bytes": {"bytes": b"x"},
        f"{top}.set": {"set": {1}},
        f"{top}['a b'].o": {"a b": {"o": object()}},
        f"{top}.big": {"big": 2**63},
        f"{top}.small": {"small": -(2**63) - 1},
        f"{top}.key": {"key": {1: "an int"}},
        f"{top}.decimal": {"decimal": Decimal("NaN")},
        f"{top}.complex": {"complex": 1j},
        f"{top}.class": {"class": Point},
    }
    for path, payload in bad.items():
        error = raises(InvalidMemoryError, rows.upsert, rows.new("bad", payload))
        assert error.path == path
        assert path in str(error)
        raises(InvalidMemoryError, rows.upsert_many, [rows.new("ok"), rows.new("bad", payload)])
    for payload in ([1], "text", None, 5, nested(500), {"deep": nested(500)}):
        raises(InvalidMemoryError, rows.upsert, _with(rows, payload))
    assert rows.read() == []


@check_rows("R8", "unreachable")
def what_is_no_json_is_refused_before_any_io(rows: Rows) -> None:
    """The verdict on a row does not need the database."""
    down = rows.trial.rows(rows.trial.open(rows.trial.subject.unreachable), rows.kind)
    bad = rows.new("bad", {"set": {1}})
    raises(InvalidMemoryError, down.upsert, bad)
    raises(InvalidMemoryError, down.upsert_many, [rows.new("ok"), bad])
    raises(InvalidMemoryError, down.get, "")
    raises(InvalidMemoryError, down.delete_many, ["ok", ""])


def _with(rows: Rows, payload: Any) -> Any:
    row = rows.new("bad", {})
    setattr(row, rows.kind.value, payload)
    return row


@check_rows("R8")
def a_large_row_is_stored_whole_or_refused(rows: Rows) -> None:
    """A row of megabytes comes back whole, or is refused with its size and the limit."""
    for size in (300_000, 2_500_000):
        text = "Likes green tea. " * (size // 17)
        for write in (rows.upsert, lambda row: rows.upsert_many([row])):
            refusal = None
            try:
                write(rows.new("large", {"text": text}))
            except TooLargeError as error:
                refusal = error
            if refusal is None:
                assert rows.payload(rows.get("large")) == {"text": text}, size
                assert rows.delete("large")
            else:
                assert refusal.size > refusal.limit > 0
                assert rows.get("large") is None


@check_rows("R8")
def rows_are_copies(rows: Rows) -> None:
    """Changing a row that was given or returned does not change what is stored."""
    given = {"list": [1], "map": {"a": 1}}
    wanted = {"list": [1], "map": {"a": 1}}
    row = rows.new("a", given)
    returned = rows.upsert(row)
    assert returned is not row
    assert row.version is None
    for row in (returned, rows.get("a"), rows.read()[0], next(iter(rows.iter()))):
        given["list"].append(2)  # type: ignore[attr-defined]
        rows.payload(row)["map"]["a"] = 2
        rows.payload(row)["list"].append(3)
        assert rows.payload(rows.get("a")) == wanted
    twice = rows.upsert_many([rows.new("b", wanted), rows.new("b", wanted)])
    rows.payload(twice[0])["map"]["a"] = 5
    assert rows.payload(twice[1]) == wanted
