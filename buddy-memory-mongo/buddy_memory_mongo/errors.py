"""What each of the driver's errors means: the one place where they are translated (rule R7)."""

from __future__ import annotations

import re
from typing import Any

from bson.errors import BSONError, InvalidBSON
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    InvalidName,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
)

from buddy.memory.errors import (
    AccessError,
    ClosedError,
    ConfigError,
    CorruptMemoryError,
    InvalidMemoryError,
    MemoryDbError,
    SchemaError,
    TooLargeError,
    UnavailableError,
)
from buddy_memory_mongo.bson_payload import MAX_BYTES

NAME = "MongoDB"

NO_ACCESS = frozenset({11, 13, 18, 31, 33, 8000})
"""Unauthorized, AuthenticationFailed, unknown users and roles; 8000 is Atlas's."""
TRY_AGAIN = frozenset(
    {6, 7, 24, 46, 50, 64, 75, 79, 89, 91, 100, 112, 117, 133, 134, 175, 189, 202, 225, 234, 244}
    | {246, 251, 262, 290, 317, 358, 384, 402, 406, 407, 412, 453, 462, 9001, 10107, 11600, 11601}
    | {11602, 13388, 13435, 13436, 16500, 50915}
)
"""Interrupted, stepped down, shutting down, timed out, or overtaken by another writer."""
OTHER_SCHEMA = frozenset({26, 48, 67, 68, 72, 85, 86, 121, 166, 197})
"""Indexes, views or validation rules of other software."""
TOO_LARGE = frozenset({10334, 17280, 17419, 17420})
BAD_NAME = frozenset({73})
DUPLICATE = 11000


class Duplicate(Exception):
    """A unique index refused a new document. ``index`` is its key pattern, if the server tells."""

    def __init__(self, index: Any) -> None:
        self.index = index
        super().__init__(index)


class BulkRefused(Exception):
    """Some writes of a bulk were refused: ``errors`` maps their places to their meanings."""

    def __init__(self, errors: dict[int, MemoryDbError | Duplicate], result: Any) -> None:
        self.errors, self.result = errors, result
        super().__init__(errors)

    def first(self) -> MemoryDbError:
        """Return the meaning of the first refusal, for writes that meet no unique index."""
        error = self.errors[min(self.errors)]
        return error if isinstance(error, MemoryDbError) else SchemaError(f"{NAME}: {error}")


class Translated:
    """In its ``with`` block, what the driver raises is raised as what it means."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, MemoryDbError):
            meaning = translate(error)
            if meaning is not None:
                raise meaning from error


def translate(error: Exception) -> Exception | None:
    """Return the meaning of an error: a MemoryDbError, Duplicate or BulkRefused.

    None when it is not the driver's.
    """
    if isinstance(error, OperationFailure):
        return _of_operation(error)
    if isinstance(error, ConnectionFailure):
        # A server that refused the password is not selected again, and its words are all there is.
        if "authentication failed" in str(error).lower():
            return AccessError(f"{NAME}: {_text(error)}.")
        return UnavailableError(NAME, _text(error))
    if isinstance(error, DocumentTooLarge):
        return TooLargeError(MAX_BYTES + 1, MAX_BYTES)
    if isinstance(error, InvalidOperation):
        return ClosedError("client") if "after close" in str(error) else MemoryDbError(_text(error))
    if isinstance(error, ConfigurationError):
        # Also what the DNS does not know about the host of a mongodb+srv URL.
        dns = "DNS" in str(error) or "does not exist" in str(error)
        return UnavailableError(NAME, _text(error)) if dns else ConfigError(_text(error))
    if isinstance(error, InvalidName):
        return ConfigError(_text(error))
    if isinstance(error, CollectionInvalid):
        return SchemaError(_text(error))
    if isinstance(error, InvalidBSON):
        return CorruptMemoryError("a document", _text(error))
    if isinstance(error, BSONError):
        return InvalidMemoryError(_text(error))
    if isinstance(error, PyMongoError):
        return MemoryDbError(_text(error))
    if isinstance(error, RuntimeError) and "different event loop" in str(error):
        return ConfigError("the client given belongs to another event loop; give a db_url instead")
    return None


def _of_operation(error: OperationFailure) -> Exception:
    details = error.details or {}
    if isinstance(error, DuplicateKeyError):
        return Duplicate(details.get("keyPattern"))
    if isinstance(error, BulkWriteError):
        return _of_bulk(details)
    if error.timeout:
        return UnavailableError(NAME, str(details.get("errmsg", "timed out")))
    return meaning(error.code, str(details.get("errmsg") or error).rstrip("."))


def _of_bulk(details: Any) -> Exception:
    refused: dict[int, MemoryDbError | Duplicate] = {
        found["index"]: Duplicate(found.get("keyPattern"))
        if found["code"] == DUPLICATE
        else meaning(found["code"], str(found.get("errmsg")))
        for found in details.get("writeErrors", ())
    }
    if refused:
        return BulkRefused(refused, details)
    concerns = details.get("writeConcernErrors") or [{}]
    return UnavailableError(NAME, str(concerns[0].get("errmsg", "not acknowledged")))


def meaning(code: int | None, text: str) -> MemoryDbError:
    """Return the error for a code of the server."""
    if code in NO_ACCESS:
        return AccessError(f"{NAME}: {text}.")
    if code in TRY_AGAIN:
        return UnavailableError(NAME, text)
    if code in TOO_LARGE:
        return TooLargeError(MAX_BYTES + 1, MAX_BYTES)
    if code in OTHER_SCHEMA:
        return SchemaError(f"{NAME}: {text}.")
    if code in BAD_NAME:
        return ConfigError(f"{NAME}: {text}")
    return MemoryDbError(f"{NAME}: {text} (code {code})")


def _text(error: Exception) -> str:
    """Return the driver's words without the dump of its settings and of its state."""
    words = re.split(", Timeout: |, full error: ", str(error))[0].rstrip(".")
    return re.sub(r" \(configured timeouts: [^)]*\)", "", words)
