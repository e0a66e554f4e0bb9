"""The server as clients meet it: the official client, in another process, on every backend."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from buddy.memory import MemoryRow, SummaryRow, open_memory_db

WRITING = {"remember", "update", "forget", "forget_me", "save_summary"}
READING = {"recall", "list", "read_summary"}
COMMAND = [sys.executable, "-m", "buddy.memory.cli"]


def stdio(url: str, *arguments: str) -> Any:
    command = [*COMMAND[1:], "mcp", url, *arguments]
    return stdio_client(
        StdioServerParameters(command=COMMAND[0], args=command, env=dict(os.environ))
    )


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Return what a tool returns."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    content = result.structured_content or {}
    return content.get("result", content)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    """Return why a tool refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)  # type: ignore[union-attr]


def test_every_tool(url: str) -> None:
    """A client in another process uses each tool; the memories are those of the library."""

    async def go() -> None:
        async with Client(stdio(url, "--user", "ann")) as client:
            tools = (await client.list_tools()).tools
            assert {tool.name for tool in tools} == WRITING | READING
            for tool in tools:
                assert tool.annotations is not None
                assert tool.annotations.read_only_hint == (tool.name in READING)
                assert "user" not in json.dumps(tool.input_schema["properties"])
            tea = await call(client, "remember", text="Likes green tea.", topics=["food"])
            await call(client, "remember", text="Has a car.")
            [found] = await call(client, "recall", query="teas")
            assert (found["id"], found["topics"]) == (tea["id"], ["food"])
            assert 0 < found["score"] <= 1
            changed = await call(client, "update", id=tea["id"], text="Likes tea.", version=1)
            assert (changed["text"], changed["topics"]) == ("Likes tea.", ["food"])
            reason = await refusal(client, "update", id=tea["id"], text="x", version=1)
            assert "ConflictError" in reason
            first = await call(client, "list", limit=1)
            second = await call(client, "list", limit=1, cursor=first["next"])
            assert {m["text"] for m in first["memories"] + second["memories"]} == {
                "Likes tea.",
                "Has a car.",
            }
            await call(client, "save_summary", session_id="s", text="On tea.")
            assert await call(client, "read_summary", session_id="s") == "On tea."
            await call(client, "forget", id=tea["id"])
            assert "no memory" in await refusal(client, "forget", id=tea["id"])
            assert "no memory" in await refusal(client, "update", id="x", text="x", version=1)
            [mine] = json.loads((await client.read_resource("memory://me")).contents[0].text)  # type: ignore[union-attr]
            one = await client.read_resource(f"memory://{mine['id']}")
            assert json.loads(one.contents[0].text)["text"] == "Has a car."  # type: ignore[union-attr]
            with pytest.raises(MCPError):
                await client.read_resource("memory://none")
        with open_memory_db(url) as db:
            assert [row.memory["memory"] for row in db.read_memories("ann")] == ["Has a car."]
        async with Client(stdio(url, "--user", "ann")) as client:
            receipt = await call(client, "forget_me")
            assert receipt["verified"] is True
            assert receipt["memories_erased"] == 1
        with open_memory_db(url) as db:
            assert db.list_users() == []

    asyncio.run(go())


def test_two_users(url: str) -> None:
    """The memories of one user are neither found, read, changed nor deleted by another."""

    async def go() -> None:
        async with (
            Client(stdio(url, "--user", "ann")) as ann,
            Client(stdio(url, "--user", "bob")) as bob,
        ):
            hers = await call(ann, "remember", text="Likes green tea.")
            await call(ann, "save_summary", session_id="s", text="hers")
            assert await call(bob, "recall", query="green tea") == []
            assert (await call(bob, "list"))["memories"] == []
            assert await call(bob, "read_summary", session_id="s") is None
            await refusal(bob, "update", id=hers["id"], text="x", version=1)
            await refusal(bob, "forget", id=hers["id"])
            with pytest.raises(MCPError):
                await bob.read_resource(f"memory://{hers['id']}")
            await call(bob, "forget_me")
            assert len((await call(ann, "list"))["memories"]) == 1

    asyncio.run(go())


def test_forged_user(tmp_path: Path) -> None:
    """A user in the arguments of a tool changes nothing: the row is that of the server's user."""
    url = f"sqlite:///{tmp_path}/memory.db"

    async def go() -> None:
        async with Client(stdio(url, "--user", "ann")) as client:
            for name in ("user", "user_id", "whose"):
                await client.call_tool("remember", {"text": "Likes tea.", name: "bob"})
                await client.call_tool("forget_me", {name: "bob"})
            await client.call_tool("remember", {"text": "Likes tea.", "user_id": "bob"})

    with open_memory_db(url) as db:
        db.upsert_memory(MemoryRow({"memory": "bob's"}, "b", "bob"))
        asyncio.run(go())
        assert [row.id for row in db.read_memories("bob")] == ["b"]


def test_read_only(tmp_path: Path) -> None:
    """--read-only has only the tools that change nothing."""

    async def go() -> None:
        url = f"sqlite:///{tmp_path}/memory.db"
        async with Client(stdio(url, "--user", "ann", "--read-only")) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == READING

    asyncio.run(go())


def test_wrong_arguments(tmp_path: Path) -> None:
    """Wrong arguments are told to the model, and nothing is stored."""
    with open_memory_db(f"sqlite:///{tmp_path}/memory.db") as db:
        db.upsert_memory(MemoryRow({"odd": 1}, "odd", "ann"))

    async def go() -> None:
        async with Client(stdio(f"sqlite:///{tmp_path}/memory.db", "--user", "ann")) as client:
            assert "empty" in await refusal(client, "remember", text="  ")
            assert "limit" in await refusal(client, "recall", query="x", limit=0)
            assert "limit" in await refusal(client, "list", limit=101)
            assert "ConfigError" in await refusal(client, "list", cursor="forged")
            assert "version" in await refusal(client, "update", id="odd", text="x", version=0)
            [odd] = (await call(client, "list"))["memories"]
            assert odd["text"] == "{'odd': 1}"

    asyncio.run(go())


def test_half_characters_stored(url: str) -> None:
    """Half of a character that another program stored is shown as U+FFFD, and the server lives."""
    with open_memory_db(url) as db:
        row = MemoryRow({"memory": "cut \ud83d tea", "topics": ["\ude00 food"]}, "cut", "ann")
        db.upsert_memory(row)
        db.upsert_summary(SummaryRow({"summary": "on \ud83d"}, "s", "ann"))

    async def go() -> None:
        async with Client(stdio(url, "--user", "ann")) as client:
            [me] = json.loads((await client.read_resource("memory://me")).contents[0].text)  # type: ignore[union-attr]
            one = json.loads((await client.read_resource("memory://cut")).contents[0].text)  # type: ignore[union-attr]
            [listed] = (await call(client, "list"))["memories"]
            [found] = await call(client, "recall", query="tea")
            for memory in (me, one, listed, found):
                assert memory["text"] == "cut \ufffd tea"
                assert memory["topics"] == ["\ufffd food"]
            assert await call(client, "read_summary", session_id="s") == "on \ufffd"
            await call(client, "forget", id="cut")

    asyncio.run(go())


def test_outage() -> None:
    """A database that cannot be reached is an error, and no secret is in it."""

    async def go() -> None:
        async with Client(stdio("redis://:hunter2@127.0.0.1:1", "--user", "ann")) as client:
            reason = await refusal(client, "recall", query="tea")
            assert "UnavailableError" in reason
            assert "hunter2" not in reason

    asyncio.run(go())


# --- over HTTP


class Said:
    """What a server prints: the notice with which it starts, and its log once it has ended."""

    def __init__(self, notice: str) -> None:
        self.notice, self.log = notice, ""


@contextmanager
def serving(port: int, *arguments: str) -> Iterator[Said]:
    """Run a server; yield what it prints when it listens."""
    command = [*COMMAND, "mcp", *arguments, "--http", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = Said(process.stderr.readline())
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            try:
                httpx2.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        assert process.poll() is None, said.notice + process.stderr.read()
        yield said
    finally:
        process.terminate()
        said.log = process.communicate()[1]


def post(port: int, token: str | None, **headers: str) -> int:
    """Return the status of a request to the server."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    address = f"http://127.0.0.1:{port}/mcp"
    return httpx2.post(address, json=message, headers={**accept, **headers}).status_code


@asynccontextmanager
async def client_of(port: int, token: str) -> AsyncIterator[Client]:
    """Yield the official client, which has that token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers) as http:
        road = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
        async with Client(road) as client:
            yield client


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def publishing(keys: bytes) -> Iterator[str]:
    """Yield the address of a server that answers with these bytes."""

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def issuer() -> Iterator[str]:
    """The address of a server that publishes one key."""
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
    published = {"keys": [{**key, "kid": "1", "use": "sig", "alg": "RS256"}]}
    with publishing(json.dumps(published).encode()) as address:
        yield address


def token(issuer: str, key: Any = KEY, algorithm: str = "RS256", **claims: Any) -> str:
    """Return a token for ann, with claims otherwise; a claim that is None is left out."""
    all_claims = {"sub": "ann", "iss": issuer, "aud": "memory", "exp": int(time.time()) + 600}
    all_claims.update(claims)
    kept = {name: value for name, value in all_claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": "1"})


def test_tokens(issuer: str, tmp_path: Path) -> None:
    """A valid token is its subject's; anything else about a token is refused with 401."""
    port = free_port()
    public = KEY.public_key().public_numbers()
    arguments = [f"sqlite:///{tmp_path}/memory.db", "--jwks", f"{issuer}/keys"]
    arguments += ["--issuer", issuer, "--audience", "memory"]
    with serving(port, *arguments):
        assert post(port, token(issuer)) == 200
        forged = {
            "no token": None,
            "nonsense": "a.b.c",
            "another key": token(issuer, OTHER_KEY),
            "unsigned": token(issuer, None, "none"),
            "a shared secret": token(issuer, str(public.n) * 2, "HS256"),
            "expired": token(issuer, exp=int(time.time()) - 10),
            "another issuer": token(issuer, iss="http://evil.example"),
            "another audience": token(issuer, aud="other"),
            "no subject": token(issuer, sub=None),
            "an empty subject": token(issuer, sub=""),
            "no end": token(issuer, exp=None),
            "no issuer": token(issuer, iss=None),
            "no audience": token(issuer, aud=None),
        }
        refused = {what: post(port, each) for what, each in forged.items()}
        assert set(refused.values()) == {401}, refused
        assert post(port, token(issuer), Host="evil.example") == 421
        assert post(port, token(issuer), Origin="http://evil.example") == 403

        async def go() -> None:
            async with (
                client_of(port, token(issuer)) as ann,
                client_of(port, token(issuer, sub="bob")) as bob,
            ):
                await call(ann, "remember", text="Likes green tea.")
                assert await call(bob, "recall", query="tea") == []
                assert len(await call(ann, "recall", query="tea")) == 1

        asyncio.run(go())


def test_one_token(tmp_path: Path) -> None:
    """--user on loopback prints a token once, and answers no other."""
    port = free_port()
    with serving(port, f"sqlite:///{tmp_path}/memory.db", "--user", "ann") as said:
        match = re.search(r"token (\S{40,})$", said.notice)
        assert match is not None, said.notice
        assert post(port, match[1]) == 200
        assert post(port, None) == 401
        assert post(port, match[1][:-1]) == 401


KEYS = ("--http", "127.0.0.1:1", "--jwks")


def start(*arguments: str) -> tuple[int, str]:
    """Run the command, which is to end at once; return its exit code and what it says."""
    ran = subprocess.run([*COMMAND, "mcp", *arguments], capture_output=True, text=True, input="")
    return ran.returncode, ran.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give --user"),
        (("--user", ""), "--user is empty"),
        (("--user", "ann", "--audience", "x"), "nothing that is for --http"),
        (("--http", "127.0.0.1:1"), "--http needs one of these"),
        (("--http", "127.0.0.1:0", "--user", "ann"), "is not HOST:PORT"),
        (("--http", "127.0.0.1"), "is not HOST:PORT"),
        (("--http", "http://x:1"), "is not HOST:PORT"),
        (("--http", "x:99999"), "is not HOST:PORT"),
        (("--http", "0.0.0.0:1", "--user", "ann"), "for loopback only"),
        (("--http", "127.0.0.1:1", "--jwks", "http://x"), "belong together"),
        (("--http", "127.0.0.1:1", "--user", "ann", "--jwks", "http://x"), "needs one of these"),
        ((*KEYS, "ftp://x/keys", "--issuer", "http://x", "--audience", "a"), "--jwks 'ftp://"),
        ((*KEYS, "keys", "--issuer", "http://x", "--audience", "a"), "--jwks 'keys' is no"),
        ((*KEYS, "http://x/keys", "--issuer", "i", "--audience", "a"), "--issuer 'i' is no"),
        (("--http", "127.0.0.1:1", "--token-verifier", "none:x"), "--token-verifier"),
        (("--http", "127.0.0.1:1", "--token-verifier", "os:getcwd"), "no verify_token"),
    ],
)
def test_does_not_start(arguments: tuple[str, ...], says: str) -> None:
    """Anything but one clear answer to "whose memories?" does not start."""
    code, told = start("memory://", *arguments)
    assert code == 2
    assert says in told
    assert "Traceback" not in told


def test_a_port_in_use(tmp_path: Path) -> None:
    """Where another listens already, the server says so, and prints no token."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, told = start("memory://", "--http", f"127.0.0.1:{port}", "--user", "ann")
    assert code == 2
    assert f"127.0.0.1:{port}" in told
    assert "in use" in told
    assert "token" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("published", [None, b"<html>", b"[]", b'{"keys": 5}', b'{"keys": []}'])
def test_no_keys(published: bytes | None, tmp_path: Path) -> None:
    """Without the issuer's keys no token is called wrong that might be right: the answer is 503,
    and the log says why."""
    port, unused = free_port(), f"http://127.0.0.1:{free_port()}"
    with publishing(published) if published else nullcontext(unused) as issuer:
        arguments = ["memory://", "--jwks", f"{issuer}/keys", "--issuer", issuer]
        with serving(port, *arguments, "--audience", "memory") as said:
            assert post(port, token(issuer)) == 503
            assert post(port, None) == 401
            assert post(port, token(issuer, None, "none")) == 401
        assert "the keys of the issuer" in said.log
