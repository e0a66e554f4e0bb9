"""What ``check`` tells of a Firestore database."""

from __future__ import annotations

from google.cloud import firestore

from buddy_memory_firestore.client import Connection


async def server_info(connection: Connection, collection: str) -> dict[str, str]:
    """Return where the database is and which library speaks to it.

    Nothing is asked for: all acknowledged writes are durable there, and the type and location of a
    database need a right of their own.
    """
    client = await connection.client()
    server = client._emulator_host
    return {
        "server": f"emulator at {server}" if server else str(client._target),
        "project": str(client.project),
        "database": str(client._database),
        "google-cloud-firestore": firestore.__version__,
        "collection": collection,
    }
