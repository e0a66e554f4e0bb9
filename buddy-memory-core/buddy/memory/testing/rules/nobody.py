"""R1: the rows without a user."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy

from buddy.memory.errors import InvalidMemoryError
from buddy.memory.storage.users import NOBODY
from buddy.memory.testing.assertions import raises
from buddy.memory.testing.backend_under_test import Rows, Trial
from buddy.memory.testing.check import check, check_rows


@check_rows("R1")
def nobody_is_one_object(rows: Rows) -> None:
    """NOBODY names the rows without a user, also after pickle and copy, and in a row too."""
    rows.add("a", user_id="ann")
    stored = rows.add("a", {"n": 1}, NOBODY)
    assert stored.user_id is None
    assert rows.add("a", {"n": 2}, None).version == 2
    for nobody in (NOBODY, copy(NOBODY), deepcopy(NOBODY), pickle.loads(pickle.dumps(NOBODY))):  # noqa: S301
        assert rows.payload(rows.get("a", user_id=nobody)) == {"n": 2}
        assert [row.user_id for row in rows.read(nobody)] == [None]
        assert rows.count(nobody) == 1
        assert [row.user_id for row in rows.iter(nobody)] == [None]
    assert rows.count() == 2


@check_rows("R1")
def the_empty_user_is_not_nobody(rows: Rows) -> None:
    """Rows of the user "" and rows without a user are apart in every call."""
    rows.upsert_many([rows.new("a", {"of": user}, user) for user in ("", None)])
    rows.add("b", user_id="")
    assert [row.user_id for row in rows.read("")] == ["", ""]
    assert [row.user_id for row in rows.read(NOBODY)] == [None]
    assert (rows.count(""), rows.count(NOBODY)) == (2, 1)
    assert rows.payload(rows.get("a", user_id="")) == {"of": ""}
    assert rows.payload(rows.get("a", user_id=NOBODY)) == {"of": None}
    assert rows.get_many(["b"], user_id=NOBODY) == [None]
    assert rows.delete("b", user_id=NOBODY) is False
    assert rows.delete_many(["a", "b"], user_id="") == 2
    assert [row.user_id for row in rows.read()] == [None]
    assert rows.trial.db.delete_user("") == {"memories": 0, "summaries": 0}
    assert rows.count() == 1


@check("R1")
def a_user_has_to_be_named(trial: Trial) -> None:
    """delete_user, forget_user and change_mark refuse None, and nothing is deleted."""
    rows, db = trial.memories, trial.db
    rows.add("a", user_id=None)
    rows.add("b", user_id="ann")
    for call in (db.delete_user, db.forget_user, db.change_mark):
        raises(InvalidMemoryError, call, None)
        for wrong in (7, b"ann", "a\x00", "\ud800"):
            raises(InvalidMemoryError, call, wrong)
    assert rows.count() == 2
    db.change_mark(NOBODY)
    assert db.delete_user(NOBODY) == {"memories": 1, "summaries": 0}
    assert rows.ids() == ["b"]
