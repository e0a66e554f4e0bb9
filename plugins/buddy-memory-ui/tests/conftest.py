"""A real browser, and the page as a process of its own over each backend."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.servers.backends import Backend, started

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# The browser comes from Debian's package; where there is none, ./run test says so.
collect_ignore = [] if CHROMIUM else ["test_browser.py"]

QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
    "--disable-component-update", "--disable-sync", "--disable-quic",
    # What a page on the net can do to names: answer with the address of this machine.
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
]  # fmt: skip

COMMAND = "from buddy_memory_ui.command import ui_command; ui_command()"
FOLDER = Path(__file__).parents[1]


class Served(NamedTuple):
    """The page: its one-time link, and its address without."""

    link: str
    process: subprocess.Popen[str]

    @property
    def address(self) -> str:
        return self.link.partition("/?")[0]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def token(self) -> str:
        return self.link.partition("token=")[2]


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start the command with arguments; it is stopped in the end, as by Ctrl+C."""
    with ExitStack() as running:

        def start(*arguments: str) -> Served:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *arguments],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *sys.path])},
                stdout=subprocess.PIPE,
                text=True,
            )
            running.callback(_stop, process)
            assert process.stdout is not None
            link = process.stdout.readline().strip()
            assert "token=" in link
            return Served(link, process)

        yield start


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    assert process.stdout is not None
    process.stdout.close()
    process.wait(20)


@pytest.fixture(scope="session", params=["sqlite", "postgres", "mongo", "redis", "firestore"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """A backend, with its server."""
    with started(request.param) as backend:
        yield backend


@pytest.fixture
def url(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store."""
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    return backend.url(tmp_path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for the module: while it is there, an event loop runs in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without cookies. A dialog, which only a script could open, fails the test."""
    dialogs: list[str] = []
    context = browser.new_context()
    context.set_default_timeout(20_000)
    context.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield context
    context.close()
    assert dialogs == []


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    """A tab of it."""
    return context.new_page()


def sign_in(tab: Page, served: Served) -> None:
    """Open the link, and be led to the first page."""
    tab.goto(served.link)
    tab.wait_for_url(f"{served.address}/")
