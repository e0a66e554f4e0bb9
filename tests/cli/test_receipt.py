"""``receipt``: what ``forget`` printed, verified later."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from buddy.memory.cli import exit_codes
from buddy.memory.receipt import Receipt
from buddy.memory.v2.db.base import MemoryDb
from tests.cli.conftest import Run


def test_a_receipt_is_verified_later(run: Run, db: MemoryDb, url: str, tmp_path: Path) -> None:
    """What forget printed is intact; one changed member, or one more, is noticed: exit code 1."""
    printed = run("forget", url, "ann", "--yes", "--json").out
    file = tmp_path / "receipt.json"
    file.write_text(printed)
    ran = run("receipt", str(file))
    assert (ran.code, "as it was made" in ran.out) == (exit_codes.OK, True)
    assert run("receipt", str(file), "--json").json == {
        "intact": True,
        "receipt": json.loads(printed),
    }
    for change in ({"user_id": "bob"}, {"memories_erased": 3}, {"more": 1}, {"sha256": "0"}):
        file.write_text(json.dumps({**json.loads(printed), **change}))
        ran = run("receipt", str(file))
        assert (ran.code, "was changed" in ran.err) == (exit_codes.NO, True), change


def test_a_receipt_of_a_failure(run: Run, tmp_path: Path) -> None:
    """An intact receipt that says that rows remain is no proof: exit code 1."""
    now = datetime.now(timezone.utc)
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(Receipt("ann", "s", now, 1, 0, 0, 2, "two are left").to_dict()))
    ran = run("receipt", str(file))
    assert (ran.code, "not verified" in ran.err) == (exit_codes.NO, True)
    assert "two are left" in ran.out


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "{" * 9999, '{"user_id": 5, "store": "", "verified": true}', "\xff"],
)
def test_what_is_no_receipt(run: Run, tmp_path: Path, text: str) -> None:
    """Anything else is refused with a reason, and so is a file that is not there."""
    file = tmp_path / "receipt.json"
    file.write_text(text, "latin-1")
    ran = run("receipt", str(file))
    assert (ran.code, "no receipt" in ran.err) == (exit_codes.DATA, True)
    assert run("receipt", str(tmp_path / "none")).code == exit_codes.DATA


def test_a_receipt_from_a_pipe(process: Run, run: Run, db: MemoryDb, url: str) -> None:
    """ "-" reads the receipt from standard input."""
    printed = run("forget", url, "ann", "--yes", "--json").out
    assert process("receipt", "-", stdin=printed.encode()).code == exit_codes.OK
