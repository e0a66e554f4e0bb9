"""Stores as older software left them, planted on real servers under names of a test's own."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import psycopg
from bson import json_util
from google.cloud import firestore
from google.cloud.firestore_v1 import types
from google.cloud.firestore_v1._helpers import decode_dict
from google.protobuf import json_format
from pymongo import MongoClient
from redis import Redis

FOLDER = Path(__file__).parents[1] / "fixtures" / "legacy"

Row = tuple[str, str | None, dict[str, Any], datetime, datetime]
"""Id, owner, payload, created_at, updated_at."""


class Planted(NamedTuple):
    """A store of older software: what it holds, oldest first, and ``look``, which returns
    everything that the server has of it, as it stands."""

    url: str
    rows: list[Row]
    look: Callable[[], Any]


def _option(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


# --- SQLite


def sqlite(name: str, table: str, folder: Path) -> Planted:
    """A copy of the file ``name``; payloads are those that are known to be in it."""
    file = folder / f"{name}.db"
    shutil.copy(FOLDER / file.name, file)
    expected = json.loads((FOLDER / f"expected_{name}.json").read_text())
    payloads = {row["id"]: row["memory"] for row in expected}
    connection = sqlite3.connect(file)
    query = f"SELECT id, user_id, created_at, updated_at FROM {table} ORDER BY created_at, rowid"  # noqa: S608
    found = connection.execute(query).fetchall()
    connection.close()
    rows = [(id, user, payloads[id], _utc(a), _utc(b)) for id, user, a, b in found]
    return Planted(f"sqlite:///{file}?table_name={table}", rows, file.read_bytes)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


# --- PostgreSQL


def postgres(table: str, url: str, server: str) -> Planted:
    """The dump, in the schema that ``url`` names; ``table`` is one of the two in it."""
    schema = _option(url, "schema")
    script = (FOLDER / "postgres_pg_dump_inserts.sql").read_text()
    script = script.replace("SCHEMA ai;", f"SCHEMA {schema};").replace(" ai.", f" {schema}.")
    kept = [line for line in script.splitlines() if "search_path" not in line]

    def look() -> Any:
        with psycopg.connect(server) as connection:
            columns = connection.execute(
                "SELECT table_name, column_name FROM information_schema.columns"
                " WHERE table_schema = %s ORDER BY 1, ordinal_position",
                (schema,),
            )
            query = f"SELECT * FROM {schema}.{table} ORDER BY created_at, id"  # noqa: S608
            return columns.fetchall(), connection.execute(query.encode()).fetchall()

    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("\n".join(kept).encode())
    rows = [(id, user, memory, a, b or a) for id, user, memory, a, b in look()[1]]
    return Planted(url.replace("table_name=memory", f"table_name={table}"), rows, look)


# --- MongoDB


def mongo(url: str) -> Planted:
    """The documents with their indexes, in a collection of another name than the usual."""
    name = urlsplit(url).path.strip("/")
    documents = [
        json_util.loads(line) for line in (FOLDER / "mongodb_v2.extjson").read_text().splitlines()
    ]

    def look() -> Any:
        with MongoClient(url) as client:  # type: MongoClient[dict[str, Any]]
            database = client[name]
            found = database["notes"].find().sort("_id").to_list()
            names = database.list_collection_names()
            return names, database["notes"].index_information(), found

    with MongoClient(url) as client:  # type: MongoClient[dict[str, Any]]
        collection = client[name]["notes"]
        collection.insert_many(documents)
        for index in json.loads((FOLDER / "mongodb_v2_indexes.json").read_text())[1:]:
            collection.create_index(list(index["key"].items()), unique=index.get("unique", False))
    rows = [_of_epochs(document) for document in sorted(documents, key=lambda one: one["_id"])]
    return Planted(f"{url}&collection_name=notes", rows, look)


def _of_epochs(row: dict[str, Any]) -> Row:
    created, updated = (
        datetime.fromtimestamp(row[name], timezone.utc) for name in ("created_at", "updated_at")
    )
    return row["id"], row["user_id"], row["memory"], created, updated


# --- Redis


def redis(url: str, server: str) -> Planted:
    """The strings, under the prefix that ``url`` names."""
    prefix = _option(url, "prefix")
    entries = json.loads((FOLDER / "redis_BUDDY_memory.json").read_text())
    found = [json.loads(entry["value"]) for entry in entries]

    def look() -> Any:
        with Redis.from_url(server) as client:
            keys = sorted(client.scan_iter(match=f"*{prefix}*", count=10_000))
            return [(key, client.dump(key)) for key in keys]

    with Redis.from_url(server) as client:
        client.mset(
            {entry["key"].replace("BUDDY_memory", prefix): entry["value"] for entry in entries}
        )
    found.sort(key=lambda row: (row["created_at"], row["id"]))
    return Planted(url, [_of_epochs(row) for row in found], look)


# --- Firestore


def cloud(url: str) -> Planted:
    """The documents, below the collection that ``url`` names."""
    collection = _option(url, "collection_name")
    documents = json.loads((FOLDER / "firestore.json").read_text())
    client = firestore.Client(project="test-project")
    batch, plain = client.batch(), dict[str, Any]()
    for document in documents:
        message = types.Document.pb()()
        json_format.ParseDict({"fields": document["fields"]}, message)
        fields = decode_dict(types.Document.wrap(message).fields, client)
        path = document["path"].replace("memory/", f"{collection}/", 1)
        batch.set(client.document(path), fields)
        plain[path] = fields
    batch.commit()

    def look() -> Any:
        found = client.collection_group("memories").stream()
        own = client.collection(collection).stream()
        return [(one.reference.path, one.to_dict()) for query in (found, own) for one in query]

    paths = sorted(plain, key=lambda path: (plain[path]["created_at"], path))
    return Planted(url, [_of_epochs(plain[path]) for path in paths], look)
