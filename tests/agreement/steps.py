"""Random operations on a database: the same ones for the same seed, hostile and wrong ones among
them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import Any, NamedTuple

from buddy.memory.testing.rules.cases import PAYLOADS, STRANGE_KEYS

UTC = timezone.utc
WRONG_IDS: list[Any] = ["", None, 7, "a\0b", "\ud800", b"x", ["a"]]
WRONG_USERS: list[Any] = ["\0", "\udfff", 7, b"ann", ["ann"]]
WRONG_PAYLOADS: list[Any] = [[], "text", None, {"a": [{"b": float("nan")}]}, {"n": 2**63}, {1: 2}]
TIMES: list[Any] = [
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    datetime(2020, 1, 1, 2, 3, 4, 567891, UTC),
    datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=-11))),
    datetime(9999, 12, 30, 23, 59, 59, 999999, UTC),
    datetime.max.replace(tzinfo=UTC),
    date(2020, 1, 1),
    "2020",
]
VERSIONS: list[Any] = [None] * 20 + [0, 0, 1, 1, 1, 2, 2, 3, -1, True, "1", 2**63]
LIMITS: list[Any] = [None, 0, 1, 2, 3, 10, 10**9, 2**63 - 1, -1, True, "1", 2**63]
SORTS: list[Any] = [None, "asc", "desc", "asc", "desc", "newest"]
PAGE_SIZES: list[Any] = [1, 2, 3, 500, 2**63 - 1, 0, None]
TICKS = [0, 0, 1, 1, 1000, 10**6, 10**9, -1, -(10**6)]
"""Microseconds between two operations: clocks stand still and step back, too."""

WEIGHTS = {
    "upsert": 30,
    "upsert_many": 10,
    "restore": 4,
    "read": 14,
    "iterate": 10,
    "read_one": 10,
    "exists": 5,
    "count": 5,
    "delete": 10,
    "delete_many": 5,
    "delete_user": 3,
    "clear": 1,
    "drop": 2,
    "reopen": 3,
}


class Given(NamedTuple):
    """A row, before it is one of a version of the API."""

    id: Any
    user_id: Any
    payload: Any
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class Step(NamedTuple):
    """One operation, by one of the objects that are open, and how far the clock then moves."""

    face: str
    kind: str
    call: str
    arguments: tuple[Any, ...]
    tick: int


class Steps:
    """The operations of a seed, on a few ids and users, so that they meet."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - the same for a seed is what is wanted
        keys = list(STRANGE_KEYS.values())
        self._ids = self._random.sample(keys, 7)
        self._users = [None, "", "ann", *self._random.sample(keys, 2)]

    def take(self, count: int) -> Iterator[Step]:
        for _ in range(count):
            yield self._step(list(WEIGHTS))

    def _step(self, calls: list[str]) -> Step:
        choice = self._random.choice
        (call,) = self._random.choices(calls, [WEIGHTS[call] for call in calls])
        face, kind = choice(["v1", "v2", "async"]), choice(["memory", "memory", "summary"])
        return Step(face, kind, call, getattr(self, f"_for_{call}")(), choice(TICKS))

    def _one_of(self, usual: list[Any], wrong: list[Any]) -> Any:
        return self._random.choice(wrong if self._random.random() < 0.02 else usual)

    def _id(self) -> Any:
        return self._one_of(self._ids, WRONG_IDS)

    def _user(self) -> Any:
        return self._one_of(self._users, WRONG_USERS)

    def _row(self) -> Given:
        payload = self._one_of(list(PAYLOADS.values()), WRONG_PAYLOADS)
        times = [self._one_of([None, None, self._random.choice(TIMES)], [7]) for _ in range(2)]
        return Given(self._id(), self._user(), payload, *times)

    def _rows(self) -> list[Given]:
        rows = [self._row() for _ in range(self._random.choice([0, 1, 2, 4, 8]))]
        if self._random.random() < 0.5:  # Of one user, so that most such calls are not refused.
            user = self._user()
            rows = [row._replace(user_id=user) for row in rows]
        return rows

    def _for_upsert(self) -> tuple[Any, ...]:
        return self._row(), self._random.choice(VERSIONS)

    def _for_upsert_many(self) -> tuple[Any, ...]:
        return (self._rows(),)

    def _for_restore(self) -> tuple[Any, ...]:
        distinct = {row.id: row for row in self._rows() if isinstance(row.id, str)}
        versions = [None, 0, *range(1, 9), 2**40]
        return ([row._replace(version=self._random.choice(versions)) for row in distinct.values()],)

    def _for_read(self) -> tuple[Any, ...]:
        return self._user(), self._random.choice(LIMITS), self._random.choice(SORTS)

    def _for_iterate(self) -> tuple[Any, ...]:
        between = self._step(["upsert", "upsert_many", "delete", "delete_many", "drop"])
        choice = self._random.choice
        return self._user(), choice(SORTS), choice(PAGE_SIZES), between

    def _for_read_one(self) -> tuple[Any, ...]:
        return self._id(), self._user()

    def _for_exists(self) -> tuple[Any, ...]:
        return (self._row(),)

    def _for_count(self) -> tuple[Any, ...]:
        return (self._user(),)

    def _for_delete(self) -> tuple[Any, ...]:
        return self._id(), self._user(), self._random.choice(VERSIONS)

    def _for_delete_many(self) -> tuple[Any, ...]:
        ids = [self._id() for _ in range(self._random.randrange(5))]
        return self._one_of([ids], ["text", None]), self._user()

    def _for_delete_user(self) -> tuple[Any, ...]:
        return (self._user(),)

    def _for_nothing(self) -> tuple[Any, ...]:
        return ()

    _for_clear = _for_drop = _for_reopen = _for_nothing
