"""The SDK's own tests of its SQLiteSession, on BuddySession and every backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.foreign import Release, run_tests
from tests.servers.backends import Backend

RELEASE = Release(
    "openai-agents",
    "0.24.0",
    "4b4b285f4fed81fdf1b4ac426a9101658d9cd29b4fb1aaeee18f639b77e704e3",
)
FILES = ["tests/memory/test_session.py", "tests/memory/test_session_limit.py"]

_SQLITE = "tests/memory/test_session.py::test_sqlite_session_"
LOOK_INSIDE = {
    # its connections and locks
    f"{_SQLITE}close_closes_worker_thread_connections",
    f"{_SQLITE}close_retries_quarantined_connection",
    f"{_SQLITE}closed_rejects_empty_add_items",
    f"{_SQLITE}closes_retired_connections_before_the_next_allocation",
    f"{_SQLITE}failed_add_items_releases_write_lock",
    f"{_SQLITE}failed_clear_session_rolls_back",
    f"{_SQLITE}failed_pop_item_releases_write_lock",
    f"{_SQLITE}file_lock_is_shared_across_instances",
    f"{_SQLITE}keeps_connections_of_live_worker_threads",
    f"{_SQLITE}post_commit_cancellation_propagates_after_known_outcome[add]",
    f"{_SQLITE}post_commit_cancellation_propagates_after_known_outcome[clear]",
    f"{_SQLITE}post_commit_cancellation_propagates_after_known_outcome[pop]",
    f"{_SQLITE}reaps_connections_from_exited_worker_threads",
    f"{_SQLITE}rollback_failure_evicts_connection",
    # rows that the test damages by a statement of its own
    f"{_SQLITE}get_items_limit_skips_corrupt_newest_rows",
    f"{_SQLITE}get_items_session_settings_limit_skips_corrupt_rows",
    f"{_SQLITE}pop_item_returns_none_after_dropping_only_corrupt_rows",
    f"{_SQLITE}pop_item_skips_corrupt_most_recent",
}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the release."""
    return RELEASE.unpacked(tmp_path_factory.mktemp("openai"))


def test_their_tests(source: Path, backend: Backend, tmp_path: Path) -> None:
    """53 of 71 pass; the others look into SQLite."""
    environment = {**backend.environment, "BUDDY_TEST_URL": backend.url(tmp_path, "NAME")}
    plugin = Path(__file__).with_name("as_sqlite_session.py")
    outcome = run_tests(source, FILES, plugin, environment)
    assert outcome.failed == LOOK_INSIDE, outcome.output[-20_000:]
    assert outcome.passed == 53
