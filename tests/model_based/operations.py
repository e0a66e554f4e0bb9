"""Random operations on a database: the same ones for the same seed, hostile and wrong ones among
them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from random import Random
from typing import Any, NamedTuple

from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.rules.cases import PAYLOADS, STRANGE_KEYS

UTC = timezone.utc
WRONG_IDS: list[Any] = ["", None, 7, "a\0b", "\ud800", b"x", ["a"]]
WRONG_USERS: list[Any] = ["\0", "\udfff", 7, b"ann", ["ann"]]
WRONG_PAYLOADS: list[Any] = [[], "text", None, {"a": [{"b": float("nan")}]}, {"n": 2**63}, {1: 2}]
WRONG_CURSORS: list[Any] = ["", "x", "WzEsMl0", 7, b"x"]
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
    "upsert_many": 12,
    "restore": 4,
    "read": 14,
    "iterate": 8,
    "pages": 8,
    "read_one": 10,
    "read_many": 6,
    "exists": 5,
    "count": 6,
    "list_users": 6,
    "mark": 8,
    "delete": 10,
    "delete_many": 6,
    "delete_user": 3,
    "delete_users": 2,
    "forget_user": 2,
    "clear": 1,
    "drop": 2,
    "reopen": 3,
}
CHANGES = ["upsert", "upsert_many", "delete", "delete_many"]
"""Calls that may come between two pages of a listing."""


class Given(NamedTuple):
    """A row, before it is one of a version of the API."""

    id: Any
    user_id: Any
    payload: Any
    created_at: Any = None
    updated_at: Any = None
    version: Any = None


class Operation(NamedTuple):
    """One call, of one of the objects that are open, and how far the clock then moves."""

    api: str
    kind: str
    call: str
    arguments: tuple[Any, ...]
    tick: int


class Operations:
    """The operations of a seed, on a few ids and users, so that they meet.

    Without ``across_users`` rows are listed of one user at a time.
    """

    def __init__(self, seed: int, across_users: bool = True) -> None:
        self._random = Random(seed)  # noqa: S311 - the same for a seed is what is wanted
        self._across_users = across_users
        keys = list(STRANGE_KEYS.values())
        self._ids = self._random.sample(keys, 5)
        self._users = [None, "", "ann", "anna", *self._random.sample(keys, 2)]
        self._prefixes = ["", "a", "ann", "\x01", *[u[:1] for u in self._users if u], "none"]

    def take(self, count: int) -> Iterator[Operation]:
        for _ in range(count):
            yield self._operation(list(WEIGHTS))

    def _operation(self, calls: list[str]) -> Operation:
        choice = self._random.choice
        (call,) = self._random.choices(calls, [WEIGHTS[call] for call in calls])
        api, kind = choice(["v1", "v2", "async"]), choice(["memory", "memory", "summary"])
        return Operation(api, kind, call, getattr(self, f"_for_{call}")(), choice(TICKS))

    def _one_of(self, usual: list[Any], wrong: list[Any]) -> Any:
        return self._random.choice(wrong if self._random.random() < 0.02 else usual)

    def _id(self) -> Any:
        return self._one_of(self._ids, WRONG_IDS)

    def _user(self) -> Any:
        """Return the user of a row, where None is nobody."""
        return self._one_of([*self._users, NOBODY], WRONG_USERS)

    def _named(self) -> Any:
        """Return the user of a call, where None names none."""
        user = self._user()
        return NOBODY if user is None and self._random.random() < 0.7 else user

    def _scope(self) -> dict[str, Any]:
        """Return the arguments that say whose rows are listed, rarely both of them."""
        scope: dict[str, Any] = {}
        if self._random.random() < 0.6:
            scope["user_id"] = self._named()
        if self._random.random() < (0.05 if scope else 0.6):
            scope["user_prefix"] = self._one_of(self._prefixes, WRONG_USERS)
        return scope

    def _listed(self) -> dict[str, Any]:
        """Return the arguments that say whose rows are listed in their order."""
        scope = self._scope()
        if self._across_users:
            return scope
        user = scope.get("user_id")
        return {"user_id": NOBODY if user is None else user}

    def _row(self) -> Given:
        payload = self._one_of(list(PAYLOADS.values()), WRONG_PAYLOADS)
        times = [self._one_of([None, None, self._random.choice(TIMES)], [7]) for _ in range(2)]
        return Given(self._id(), self._user(), payload, *times)

    def _rows(self) -> list[Given]:
        return [self._row() for _ in range(self._random.choice([0, 1, 2, 4, 8]))]

    def _many_ids(self) -> Any:
        ids = [self._id() for _ in range(self._random.randrange(5))]
        return self._one_of([ids], ["text", None])

    def _for_upsert(self) -> tuple[Any, ...]:
        return self._row(), self._random.choice(VERSIONS)

    def _for_upsert_many(self) -> tuple[Any, ...]:
        return (self._rows(),)

    def _for_restore(self) -> tuple[Any, ...]:
        rows = [row for row in self._rows() if isinstance(row.id, str)]
        nobody = [row._replace(user_id=None) if row.user_id is NOBODY else row for row in rows]
        distinct = {(repr(row.user_id), row.id): row for row in nobody}
        versions = [None, 0, *range(1, 9), 2**40]
        return ([row._replace(version=self._random.choice(versions)) for row in distinct.values()],)

    def _for_read(self) -> tuple[Any, ...]:
        options = {"limit": self._random.choice(LIMITS), "sort": self._random.choice(SORTS)}
        return ({**options, **self._listed()},)

    def _for_iterate(self) -> tuple[Any, ...]:
        choice = self._random.choice
        options = {"sort": choice(SORTS), "page_size": choice(PAGE_SIZES)}
        return {**options, **self._listed()}, self._operation([*CHANGES, "drop"])

    def _for_pages(self) -> tuple[Any, ...]:
        choice = self._random.choice
        options = {"sort": choice(SORTS), "limit": choice([1, 1, 2, 3, 5, 2**63 - 2, 0, None, -1])}
        after = self._one_of([None], WRONG_CURSORS)
        return {**options, **self._listed()}, after, self._operation(CHANGES)

    def _for_read_one(self) -> tuple[Any, ...]:
        return self._id(), self._named()

    def _for_read_many(self) -> tuple[Any, ...]:
        return self._many_ids(), self._named()

    _for_delete_many = _for_read_many

    def _for_exists(self) -> tuple[Any, ...]:
        return (self._row(),)

    def _for_count(self) -> tuple[Any, ...]:
        return (self._scope(),)

    def _for_list_users(self) -> tuple[Any, ...]:
        return (
            {
                "prefix": self._one_of([*self._prefixes, "", ""], WRONG_USERS),
                "after": self._one_of([None, *self._users], WRONG_USERS),
                "limit": self._random.choice(LIMITS),
            },
        )

    def _for_mark(self) -> tuple[Any, ...]:
        return (self._named(),)

    _for_delete_user = _for_forget_user = _for_mark

    def _for_delete(self) -> tuple[Any, ...]:
        return self._id(), self._named(), self._random.choice(VERSIONS)

    def _for_delete_users(self) -> tuple[Any, ...]:
        return (self._one_of(self._prefixes, [None, *WRONG_USERS]),)

    def _for_nothing(self) -> tuple[Any, ...]:
        return ()

    _for_clear = _for_drop = _for_reopen = _for_nothing
