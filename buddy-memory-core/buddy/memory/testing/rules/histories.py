"""R1 to R20 together: random calls, answered as the store of a dictionary answers them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random
from time import monotonic, sleep
from typing import Any, NamedTuple

from buddy.memory.errors import MemoryDbError, UnsupportedError
from buddy.memory.registry import open_memory_db
from buddy.memory.storage.expiry import KEEP, NEVER
from buddy.memory.storage.record import Kind
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows

SHORT, LONG, PATIENCE = 0.05, 3600.0, 10.0
"""Seconds that rows live which are to end, those that others live, and how long to wait."""

IDS = ["m", "M", "m ", "1", "01", "%"]
USERS: list[Any] = ["ann", "anna", "Ann", "\x01", "", NOBODY]
PREFIXES = ["", "a", "ann", "A", "\x01", "none"]
WORDS = ["tea", "green", "car", "cars", "likes", "the"]
FAMILIES: list[list[Any]] = [
    [2**53, 2**53 + 1, 2**53 + 2, 2.0**53],
    [0, -0.0, False, 0.1, None],
    [1, 1.0, True, "1", [1]],
    ["a", "A", "", {"x": 1}, -(2**63)],
]
"""Values that some database takes for one another."""
COMPARED = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]
SHOWN = 4
"""Calls before the one that was answered otherwise, in the message."""


class Call(NamedTuple):
    """A call by its name and arguments, and how it is made."""

    text: str
    make: Callable[[Rows], Any]


class Calls:
    """The calls of a seed, about few rows, so that they meet. Memories have filters and searches
    besides."""

    def __init__(self, seed: int, kind: Kind, *, across_users: bool) -> None:
        self._random, self._across_users = Random(seed), across_users  # noqa: S311
        self._values = FAMILIES[seed % len(FAMILIES)]
        # Few users, so that an id is that of one of them, of two, or of more.
        self._ids = self._random.sample(IDS, 3)
        self._few = USERS[-2:] if seed % 2 else self._random.sample(USERS, 3)
        self._are_memories = kind is Kind.MEMORY
        self._weights: dict[Callable[[], Call], int] = {
            self._upsert: 30,
            self._upsert_many: 10,
            self._delete: 8,
            self._delete_many: 4,
            self._touch: 4,
            self._delete_user: 1,
            self._get: 8,
            self._get_many: 4,
            self._read: 8,
            self._pages: 6,
            self._count: 8,
            self._users: 4,
        }
        if self._are_memories:
            self._weights |= {self._exists: 4, self._search: 8}

    def take(self, count: int) -> Iterator[Call]:
        """Yield so many calls."""
        for make in self._random.choices([*self._weights], [*self._weights.values()], k=count):
            yield make()

    def _one_of(self, *values: Any) -> Any:
        return self._random.choice(values)

    def _some_ids(self) -> list[str]:
        return self._random.choices(self._ids, k=self._random.randrange(5))

    def _payload(self) -> dict[str, Any]:
        payload = {
            "memory": " ".join(self._random.choices(WORDS, k=3)),
            "n": self._one_of(*self._values),
            "topics": self._random.sample(WORDS, 2),
        }
        return {key: payload[key] for key in payload if self._random.random() < 0.8}

    def _named(self) -> dict[str, Any]:
        """Return the user of a call by id, which may also be left out."""
        options: list[dict[str, Any]] = [{}, *[{"user_id": user} for user in self._few]]
        return self._random.choice(options)

    def _options(self) -> dict[str, Any]:
        options: list[dict[str, Any]] = [{}, {}, {"ttl": LONG}, {"ttl": KEEP}, {"ttl": NEVER}]
        return self._random.choice(options)

    def _filtered(self) -> dict[str, Any]:
        if not self._are_memories or self._random.random() < 0.5:
            return {}
        return {"where": self._where()}

    def _where(self) -> Any:
        value, operator = self._one_of(*self._values), self._one_of(*COMPARED)
        return self._one_of(
            {"n": {operator: value}},
            {"n": {operator: value}},
            {"n": {"$in": self._random.sample(self._values, 3)}},
            {"topics": {"$contains": self._one_of(*WORDS)}},
            {"n": {"$exists": self._one_of(True, False)}},
            {("n", "x"): {"$eq": 1}},
        )

    # --- writes

    def _upsert(self) -> Call:
        new = (self._one_of(*self._ids), self._payload(), self._one_of(*self._few))
        options = {**self._options(), "if_version": self._one_of(None, None, None, 0, 1, 2, 3)}
        return Call(f"upsert {new}, {options}", lambda rows: rows.add(*new, **options))

    def _upsert_many(self) -> Call:
        count, options = self._random.randrange(6), self._options()
        new = [
            (self._one_of(*self._ids), self._payload(), self._one_of(*self._few))
            for _ in range(count)
        ]
        return Call(
            f"upsert many {new}, {options}",
            lambda rows: rows.upsert_many([rows.new(*one) for one in new], **options),
        )

    def _delete(self) -> Call:
        id, options = self._one_of(*self._ids), self._named()
        options |= {"if_version": self._one_of(None, None, 0, 1, 2)}
        return Call(f"delete {id!r}, {options}", lambda rows: rows.delete(id, **options))

    def _delete_many(self) -> Call:
        ids, user = self._some_ids(), self._named()
        return Call(f"delete many {ids}, {user}", lambda rows: rows.delete_many(ids, **user))

    def _touch(self) -> Call:
        ids, user, ttl = self._some_ids(), self._one_of(*self._few), self._one_of(LONG, NEVER)
        return Call(
            f"touch {ids} of {user!r}, {ttl}",
            lambda rows: rows.touch(ids, user_id=user, ttl=ttl),
        )

    def _delete_user(self) -> Call:
        user = self._one_of(*self._few)
        return Call(f"delete user {user!r}", lambda rows: rows.db.delete_user(user))

    # --- reads

    def _get(self) -> Call:
        id, user = self._one_of(*self._ids), self._named()
        return Call(f"get {id!r}, {user}", lambda rows: rows.get(id, **user))

    def _get_many(self) -> Call:
        ids, user = self._some_ids(), self._named()
        return Call(f"get many {ids}, {user}", lambda rows: rows.get_many(ids, **user))

    def _listed(self) -> dict[str, Any]:
        """Return whose rows are listed, in an order that the backend keeps."""
        if self._across_users and self._random.random() < 0.5:
            prefix = self._one_of(*PREFIXES)
            return {"user_prefix": prefix} if self._random.random() < 0.5 else {}
        return {"user_id": self._one_of(*self._few)}

    def _read(self) -> Call:
        options = {"sort": self._one_of("asc", "desc"), "limit": self._one_of(None, 0, 1, 3, 100)}
        options |= self._listed()
        return Call(f"read {options}", lambda rows: rows.read(**options))

    def _pages(self) -> Call:
        options = {"sort": self._one_of("asc", "desc"), "limit": self._one_of(1, 2, 5)}
        options |= self._listed() | self._filtered()

        def every(rows: Rows) -> list[Any]:
            page = rows.page(**options)
            found = [*page.rows]
            while page.next is not None:
                page = rows.page(**options, after=page.next)
                found += page.rows
            return found

        return Call(f"pages {options}", every)

    def _count(self) -> Call:
        options = self._one_of({}, {"user_id": self._one_of(*self._few)}, {"user_prefix": "a"})
        options = {**options, **self._filtered()}
        return Call(f"count {options}", lambda rows: rows.count(**options))

    def _users(self) -> Call:
        options = {"prefix": self._one_of(*PREFIXES), "limit": self._one_of(None, 1, 2)}
        options["after"] = self._one_of(None, None, "", "ann", "b")
        return Call(f"list users {options}", lambda rows: rows.db.list_users(**options))

    def _exists(self) -> Call:
        id, user = self._one_of(*self._ids), self._one_of(*self._few)
        return Call(
            f"exists {id!r} of {user!r}",
            lambda rows: rows.db.memory_exists(rows.trial.memories.new(id, user_id=user)),
        )

    def _search(self) -> Call:
        query = self._one_of(None, *[" ".join(self._random.sample(WORDS, 2)) for _ in range(3)])
        options = {"user_id": self._one_of(*self._few), "limit": self._one_of(1, 3, 10)}
        options |= self._filtered() or {"neighbours": self._one_of(0, 1) if query else 0}
        return Call(
            f"search {query!r}, {options}",
            lambda rows: rows.db.search_memories(query, **options),
        )


def answer(rows: Rows, call: Call) -> Any:
    """Return what a call comes to, without what differs between two stores: times and texts of
    errors. Raises UnsupportedError."""
    try:
        return _plain(rows, call.make(rows))
    except UnsupportedError:
        raise
    except MemoryDbError as error:
        return type(error).__name__, getattr(error, "actual", None)


def _plain(rows: Rows, value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(rows, item) for item in value]
    if hasattr(value, "matched"):
        found = value.row.memory
        return value.row.id, value.score, value.matched, json.dumps(found, sort_keys=True)
    if not hasattr(value, "version"):
        return value
    ends = getattr(value, "expires_at", None) is not None
    payload = json.dumps(rows.payload(value), sort_keys=True)
    return value.id, value.user_id, payload, value.version, ends


def fill(rows: Rows) -> None:
    """Store some rows, of which all but two have ended when this returns."""
    for user in USERS:
        rows.upsert_many([rows.new(id, {"n": 0}, user) for id in IDS[:3]], ttl=SHORT)
    rows.upsert_many([rows.new(id, {"n": 1}, "ann") for id in ("x", "y")])
    given_up = monotonic() + PATIENCE
    while rows.count() > 2:
        assert monotonic() < given_up, "rows are there long after their end"
        sleep(SHORT / 5)


def compare(rows: Rows, seed: int, count: int) -> None:
    """Make the calls of a seed here and on a dictionary, and fail where their answers differ."""
    trial = rows.trial
    with closing(open_memory_db("memory://", version=trial.version)) as db:  # type: ignore[call-overload]
        reference = trial.rows(db, rows.kind)
        for one in (rows, reference):
            fill(one)
        made: list[str] = []
        across_users = trial.subject.order_across_users
        for call in Calls(seed, rows.kind, across_users=across_users).take(count):
            expected = answer(reference, call)
            found = answer(rows, call)
            made.append(call.text)
            before = "".join(f"\n  {text}" for text in made[-SHOWN - 1 : -1])
            assert found == expected, f"call {len(made)} of seed {seed}: {call.text}, after{before}"
        for user in USERS:
            assert _plain(rows, rows.read(user)) == _plain(reference, reference.read(user))


@check_rows("R1")
def random_calls_are_answered_as_by_a_dictionary(rows: Rows) -> None:
    """Random calls about few rows, some of which have ended, have the answers of the reference."""
    compare(rows, 5, 120)


@check("R1", big=True)
def long_histories_are_answered_as_by_a_dictionary(trial: Trial) -> None:
    """Hundreds of random calls have the answers of the reference."""
    for seed in range(8):
        trial.db.clear()
        compare(Rows(trial, Kind.MEMORY), seed, 120)
