"""The page in a real browser, over all five backends: what it shows, changes and refuses."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, Page, Response

from buddy.memory import NEVER, NOBODY, MemoryRow, SummaryRow, open_memory_db
from buddy.memory.receipt import is_intact
from tests.servers.redis import DURABLE, RedisServer, valkey

from .conftest import Serve, Served, sign_in

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"


def fill(url: str) -> None:
    """Store what the tests look for."""
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": "Is allergic to hazelnuts."}, "a", "ann"))
        db.upsert_memory(MemoryRow({"memory": "Likes green tea.", "n": 1}, "b", "ann"), ttl=900)
        db.upsert_memory(MemoryRow({"memory": "of nobody"}, "c"))
        db.upsert_memory(MemoryRow({"memory": MARKUP}, MARKUP, MARKUP))
        db.upsert_summary(SummaryRow({"summary": "They spoke of tea."}, "monday", "ann"))


def follow(tab: Page, what: str) -> Response | None:
    """Click, and return the answer that the click led to."""
    with tab.expect_navigation() as navigation:
        tab.click(what)
    return navigation.value


def texts(tab: Page) -> list[str]:
    """Return the rows that a page lists."""
    return tab.locator(".rows a").all_inner_texts()


def test_looking_into_a_store(url: str, serve: Serve, tab: Page) -> None:
    """Users, rows, a search with reasons, one row and the checks; nothing that changes anything."""
    fill(url)
    served = serve(url)
    sign_in(tab, served)
    assert "4 memories in this store" in tab.inner_text("main")
    assert tab.locator("tbody td.number").all_inner_texts() == ["1", "1", "2"]
    assert tab.locator("svg title").last.text_content().endswith(": 4 memories")  # type: ignore[union-attr]
    tab.fill("[name=prefix]", "an")
    follow(tab, "text=Show")
    assert tab.locator("tbody a").all_inner_texts() == ["ann"]
    follow(tab, "tbody a")
    assert texts(tab) == ["Likes green tea.", "Is allergic to hazelnuts."]
    tab.fill("[name=query]", "What is she allergic to?")
    follow(tab, "button")
    assert texts(tab) == ["Is allergic to hazelnuts."]
    assert tab.locator("mark").all_inner_texts() == ["allergic"]
    assert "score 0." in tab.inner_text(".facts")
    follow(tab, ".rows a")
    assert "hazelnuts" in tab.inner_text("pre")
    assert "never" in tab.inner_text("dl")
    tab.goto(f"{served.address}/user?user=ann&kind=summary")
    assert texts(tab) == ["They spoke of tea."]
    tab.goto(f"{served.address}/user?nobody=1")
    assert texts(tab) == ["of nobody"]
    follow(tab, "text=Check")
    assert "connection" in tab.inner_text("tbody")
    assert "failed" not in tab.inner_text("tbody")
    for path in ("/user?user=ann", "/row?user=ann&kind=memory&id=a"):
        tab.goto(served.address + path)
        assert tab.locator("form[method=post]").count() == 0
    answer = tab.request.post(
        f"{served.address}/forget", headers={"Origin": served.address}, form={"user": "ann"}
    )
    assert answer.status == 404
    with open_memory_db(url) as db:
        assert db.count_memories("ann") == 2


def test_stored_text_never_becomes_markup(url: str, serve: Serve, tab: Page) -> None:
    """Ids, users and payloads that are HTML are shown as they are, and no script of them runs."""
    fill(url)
    served = serve(url, "--write")
    sign_in(tab, served)
    name = quote(MARKUP)
    for path in (
        "/",
        f"/?prefix={name}",
        f"/user?user={name}",
        f"/search?user={name}&query={name}",
        f"/row?user={name}&kind=memory&id={name}",
        f"/row?user={name}&kind=memory&id=no{name}",
        f"/search?user={name}&query=&where={name}",
    ):
        tab.goto(served.address + path)
        assert tab.locator("main script, main img").count() == 0
    assert "The filter is no JSON" in tab.inner_text(".error")
    tab.goto(f"{served.address}/row?user={name}&kind=memory&id={name}")
    assert tab.inner_text(".text") == MARKUP
    assert json.loads(tab.input_value("textarea")) == {"memory": MARKUP}


def test_two_tabs_edit_one_row(url: str, serve: Serve, context: BrowserContext) -> None:
    """The second one is shown both, loses nothing, and may store its own; the end stays."""
    fill(url)
    with open_memory_db(url) as db:
        end = db.read_memory("b", user_id="ann").expires_at  # type: ignore[union-attr]
    served = serve(url, "--write")
    first, second = context.new_page(), context.new_page()
    sign_in(first, served)
    for tab in (first, second):
        tab.goto(f"{served.address}/row?user=ann&kind=memory&id=b")
    first.fill("textarea", '{"memory": "Likes black tea."}')
    follow(first, "text=Save")
    assert "Likes black tea." in first.inner_text(".text")
    second.fill("textarea", '{"memory": "Likes coffee."}')
    follow(second, "text=Save")
    assert second.inner_text("h1") == "Changed meanwhile"
    assert "black tea" in second.inner_text("pre")
    assert json.loads(second.input_value("textarea")) == {"memory": "Likes coffee."}
    follow(second, "text=Store this over it")
    assert "Likes coffee." in second.inner_text(".text")
    first.click("summary")
    follow(first, "text=Delete it for good")
    assert first.inner_text("h1") == "Changed meanwhile"
    with open_memory_db(url) as db:
        row = db.read_memory("b", user_id="ann")
        assert row is not None
        assert (row.memory, row.version) == ({"memory": "Likes coffee."}, 3)
        assert row.expires_at == end
        db.delete_memory("b", user_id="ann")
    follow(second, "text=Save")
    assert "deleted this memory" in second.inner_text(".error")
    follow(second, "text=Store it anew")
    second.click("summary")
    follow(second, "text=Delete it for good")
    assert texts(second) == ["Is allergic to hazelnuts."]


def test_a_summary_is_edited(url: str, serve: Serve, tab: Page) -> None:
    """Session summaries are edited as memories are; what is no payload comes back to its tab."""
    fill(url)
    served = serve(url, "--write")
    sign_in(tab, served)
    tab.goto(f"{served.address}/row?user=ann&kind=summary&id=monday")
    tab.fill("textarea", '{"summary": "of')
    follow(tab, "text=Save")
    assert "line 1" in tab.inner_text(".error")
    assert tab.input_value("textarea") == '{"summary": "of'
    tab.fill("textarea", '{"summary": "of 1e999", "n": 1e999}')
    follow(tab, "text=Try again")
    assert "cannot be stored" in tab.inner_text(".error")
    tab.fill("textarea", '{"summary": "of cats"}')
    follow(tab, "text=Try again")
    with open_memory_db(url) as db:
        row = db.read_summary("monday", user_id="ann")
        assert row is not None
        assert (row.summary, row.version) == ({"summary": "of cats"}, 2)


def test_a_user_is_forgotten(url: str, serve: Serve, tab: Page, tmp_path: Path) -> None:
    """After the name was written once more everything is gone; the receipt can be downloaded."""
    fill(url)
    served = serve(url, "--write")
    sign_in(tab, served)
    tab.goto(f"{served.address}/user?user=ann")
    tab.click("details.danger summary")
    tab.fill("[name=again]", "bob")
    follow(tab, "button:has-text('Forget')")
    assert "nobody is forgotten" in tab.inner_text(".error")
    tab.goto(f"{served.address}/user?user=ann")
    tab.click("details.danger summary")
    tab.fill("[name=again]", "ann")
    follow(tab, "button:has-text('Forget')")
    assert tab.inner_text("h1") == "Forgotten"
    with tab.expect_download() as download:
        tab.click("text=Download the receipt")
    download.value.save_as(tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert is_intact(receipt)
    assert (receipt["user_id"], receipt["memories_erased"], receipt["verified"]) == ("ann", 2, True)
    with open_memory_db(url) as db:
        assert (db.count_memories("ann"), db.count_summaries("ann")) == (0, 0)
        assert db.count_memories(NOBODY) == 1


def test_long_things(tmp_path: Path, serve: Serve, tab: Page) -> None:
    """An id and a user of 500 characters, and a payload of 900 kB, are listed and edited."""
    url = f"sqlite:///{tmp_path}/memory.db"
    id, user, long = "i" * 500, "u" * 500, "tea " * 225_000
    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": long}, id, user))
    served = serve(url, "--write")
    sign_in(tab, served)
    follow(tab, "tbody a")
    assert len(texts(tab)[0]) <= 300
    follow(tab, ".rows a")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    tab.fill("textarea", json.dumps({"memory": long + "!"}))
    follow(tab, "text=Save")
    with open_memory_db(url) as db:
        row = db.read_memory(id, user_id=user)
        assert row is not None
        assert row.memory == {"memory": long + "!"}
        db.touch_memories([id], user_id=user, ttl=NEVER)


@pytest.fixture
def elsewhere() -> Iterator[Any]:
    """A page of somebody else on this machine, whose forms are sent at once."""
    pages: dict[str, bytes] = {}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    Thread(target=server.serve_forever, daemon=True).start()

    def publish(page: str) -> str:
        pages["/evil"] = page.encode()
        return f"http://127.0.0.1:{server.server_port}/evil"

    yield publish
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A filled store of SQLite."""
    url = f"sqlite:///{tmp_path}/memory.db"
    fill(url)
    return url


def test_a_form_of_another_page_is_refused(
    store: str, serve: Serve, tab: Page, elsewhere: Any
) -> None:
    """A page on another port, which is the same site and so sends our cookie, forgets nobody."""
    served = serve(store, "--write")
    sign_in(tab, served)
    fields = "".join(f'<input name="{name}" value="ann">' for name in ("user", "again"))
    form = f'<form method="post" action="{served.address}/forget">{fields}<button>x</button></form>'
    tab.goto(elsewhere(form))
    answer = follow(tab, "button")
    assert answer is not None
    assert answer.status == 403
    with open_memory_db(store) as db:
        assert db.count_memories("ann") == 2


def test_another_name_of_this_machine_is_refused(store: str, serve: Serve, tab: Page) -> None:
    """A name of the net that leads here (DNS rebinding) is not served, not even with the link."""
    served = serve(store)
    for link in (served.link, served.address):
        answer = tab.goto(link.replace("127.0.0.1", "evil.example"))
        assert answer is not None
        assert answer.status == 421
    sign_in(tab, served)


def test_a_link_works_once(store: str, serve: Serve, browser: Any, tab: Page) -> None:
    """Another browser with the used link sees nothing; the first one goes on, also by the link."""
    served = serve(store)
    sign_in(tab, served)
    other = browser.new_context()
    for address in (served.link, f"{served.address}/", f"{served.address}/user?user=ann"):
        answer = other.new_page().goto(address)
        assert (answer.status, "It works once" in answer.text()) == (403, True)
    other.close()
    tab.goto(served.link)
    assert tab.inner_text("h1") == "Users"


def test_a_database_that_goes_away(serve: Serve, tab: Page) -> None:
    """Each page says so, and what was written is still in its tab when the database is back."""
    server = RedisServer(valkey(), *DURABLE)
    try:
        url = f"{server.url}?prefix=ui&timeout=1"
        fill(url)
        served = serve(url, "--write")
        sign_in(tab, served)
        tab.goto(f"{served.address}/row?user=ann&kind=memory&id=a")
        tab.fill("textarea", '{"memory": "Is allergic to nothing."}')
        os.kill(server.process.pid, signal.SIGSTOP)
        follow(tab, "text=Save")
        assert "The database does not answer" in tab.inner_text(".error")
        other = tab.context.new_page()
        answer = other.goto(f"{served.address}/user?user=ann")
        assert answer is not None
        assert answer.status == 503
        os.kill(server.process.pid, signal.SIGCONT)
        follow(tab, "text=Try again")
        assert "allergic to nothing" in tab.inner_text("main")
    finally:
        server.stop()


def test_keyboard_and_headers(store: str, serve: Serve, tab: Page) -> None:
    """The first tab stop leads to the content; each answer says that it may not be framed, kept or
    given scripts; each field has a label."""
    served = serve(store, "--write")
    sign_in(tab, served)
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Skip to the content"
    for path in ("/user?user=ann", "/row?user=ann&kind=memory&id=a", "/static/style.css"):
        answer = tab.goto(served.address + path)
        assert answer is not None
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        fields = "input:not([type=hidden]), textarea, select"
        assert tab.evaluate(f"[...document.querySelectorAll('{fields}')].every(f => f.labels[0])")


def test_the_served_link_is_loopback(store: str, serve: Serve) -> None:
    """The link names 127.0.0.1 and a long token; the port can be chosen."""
    served: Served = serve(store)
    assert served.address.startswith("http://127.0.0.1:")
    assert len(served.token) >= 43
