"""The messages of google.firestore.v1 as plain protobuf classes, and what refuses a request."""

from __future__ import annotations

from typing import Any

import grpc
from google.cloud.firestore_v1 import types
from google.protobuf.timestamp_pb2 import Timestamp

# The client library wraps every message; the wire classes below them are enough here.
Document: Any = types.Document.pb()
Value: Any = types.Value.pb()
Write: Any = types.Write.pb()
Query: Any = types.StructuredQuery.pb()
FieldFilter: Any = Query.FieldFilter
UnaryFilter: Any = Query.UnaryFilter
CompositeFilter: Any = Query.CompositeFilter
ASCENDING, DESCENDING = Query.ASCENDING, Query.DESCENDING


def message(name: str) -> Any:
    """Return the wire class of a message, for example ``CommitRequest``."""
    return getattr(types, name).pb()


class Refusal(Exception):
    """A request that is answered with a gRPC status: ``Refusal("NOT_FOUND", text)``."""

    def __init__(self, code: str, text: str) -> None:
        self.code = grpc.StatusCode[code]
        self.text = text
        super().__init__(text)


def invalid(text: str) -> Refusal:
    """Return an INVALID_ARGUMENT."""
    return Refusal("INVALID_ARGUMENT", text)


def timestamp(microseconds: int) -> Timestamp:
    """Return a time as the protocol writes it."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def microseconds(time: Timestamp) -> int:
    """Return the microseconds since 1970; finer digits are cut, as the service does (TYPES)."""
    return int(time.seconds * 1_000_000 + time.nanos // 1000)
