"""What the errors of Google's libraries mean: the one table of this backend."""

from __future__ import annotations

import re
from typing import Any

import grpc  # type: ignore[import-untyped]  # it ships no types
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from buddy.memory.errors import (
    AccessError,
    ConfigError,
    InvalidMemoryError,
    MemoryDbError,
    SchemaError,
    UnavailableError,
)

NAME = "Firestore"

_MISSING_DATABASE = re.compile(r"database (.+) does not exist for project (\S+)", re.DOTALL)


class PreconditionFailed(Exception):
    """The document was not as the write expected it; nothing was written. Stays in here.

    ``retried`` tells that the request was sent more than once: an earlier one, of which the
    answer got lost, may have been what changed the document.
    """

    retried = False


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed a moment later."""
    if isinstance(error, api.ResourceExhausted):
        return "quota" not in str(error).lower()
    if isinstance(error, api.ServiceUnavailable):
        return not _is_about_credentials(error)
    return isinstance(
        error, (api.Aborted, api.InternalServerError, api.BadGateway, auth.TransportError)
    )


def translate(error: BaseException) -> MemoryDbError | PreconditionFailed | None:
    """Return the error to raise instead, or None for one that is not of Google's libraries."""
    text = getattr(error, "message", None) or str(error)
    if isinstance(error, api.GoogleAPICallError):
        return _of_the_service(error, text)
    if isinstance(error, auth.TransportError):
        return UnavailableError(NAME, f"the credentials could not be refreshed: {text}")
    if isinstance(error, auth.GoogleAuthError):
        return _no_credentials(text)
    if isinstance(error, (api.GoogleAPIError, grpc.RpcError)):
        return UnavailableError(NAME, text)
    return None


def _of_the_service(error: api.GoogleAPICallError, text: str) -> MemoryDbError | PreconditionFailed:
    for kinds, meaning in _MEANINGS:
        if isinstance(error, kinds):
            found: MemoryDbError | PreconditionFailed = meaning(text)
            return found
    if _is_about_credentials(error):
        return _no_credentials(text)
    return UnavailableError(NAME, f"{type(error).__name__}: {text}")


def _is_about_credentials(error: BaseException) -> bool:
    """The transport reports refused credentials as UNAVAILABLE; a retry does not help."""
    text = str(error)
    return "from plugin failed" in text and bool(
        re.search("invalid_|Reauthentication|RefreshError|unauthorized|DefaultCredentials", text)
    )


def _no_credentials(text: str) -> MemoryDbError:
    return AccessError(
        f"{NAME}: no valid credentials: {text}",
        "gcloud auth application-default login",
    )


def _forbidden(text: str) -> MemoryDbError:
    if "has not been used in project" in text or "is disabled" in text:
        return AccessError(f"{NAME}: {text}", "gcloud services enable firestore.googleapis.com")
    return AccessError(
        f"{NAME}: {text}",
        "gcloud projects add-iam-policy-binding PROJECT --member=serviceAccount:ACCOUNT "
        "--role=roles/datastore.user",
    )


def _not_found(text: str) -> MemoryDbError | PreconditionFailed:
    if found := _MISSING_DATABASE.search(text):
        return missing_database(found[1], found[2])
    return PreconditionFailed(text)


def missing_database(database: str, project: str) -> MemoryDbError:
    """Return the error for a database that does not exist."""
    return SchemaError(
        f"There is no database {database!r} in the project {project!r}.",
        f"Make it: gcloud firestore databases create --project={project} "
        f"--database='{database}' --location=LOCATION",
    )


def refused(text: str) -> MemoryDbError:
    """Return the error for a request without preconditions that the database cannot serve."""
    return SchemaError(
        f"{NAME}: {text}", "project_id and db_name have to name a database in native mode."
    )


def _failed_precondition(text: str) -> MemoryDbError | PreconditionFailed:
    if "requires an index" in text:
        return SchemaError(
            f"{NAME}: {text}",
            "The automatic indexes of id, order, user_order and stamps are needed: take back the "
            "exemption with gcloud firestore indexes fields update FIELD --clear-exemption",
        )
    if "Datastore Mode" in text:
        return SchemaError(f"{NAME}: {text}", "Name a database in native mode with db_name.")
    return PreconditionFailed(text)


def _invalid(text: str) -> MemoryDbError:
    return InvalidMemoryError(f"{NAME} refused it: {text}")


def _exhausted(text: str) -> MemoryDbError:
    return UnavailableError(
        NAME,
        f"a quota is exhausted: {text} See "
        "https://console.cloud.google.com/apis/api/firestore.googleapis.com/quotas; enabling "
        "billing lifts the free daily quotas",
    )


_MEANINGS: tuple[tuple[Any, Any], ...] = (
    (api.Unauthenticated, _no_credentials),
    (api.Unauthorized, _no_credentials),
    (api.Forbidden, _forbidden),
    (api.NotFound, _not_found),
    (api.AlreadyExists, PreconditionFailed),
    (api.FailedPrecondition, _failed_precondition),
    (api.ResourceExhausted, _exhausted),
    (api.TooManyRequests, _exhausted),
    (api.InvalidArgument, _invalid),
    (api.OutOfRange, _invalid),
)


def of_status(code: int, message: str) -> Exception:
    """Return what the library would raise for one status in the answer to a batch."""
    status = next(status for status in grpc.StatusCode if status.value[0] == code)
    error: Exception = api.from_grpc_status(status, message)  # type: ignore[no-untyped-call]
    return error


def no_project() -> MemoryDbError:
    """Return the error for a project that is named nowhere."""
    return ConfigError(
        "name the Google Cloud project: project_id=…, firestore://PROJECT/…, or the environment "
        "variable GOOGLE_CLOUD_PROJECT"
    )
