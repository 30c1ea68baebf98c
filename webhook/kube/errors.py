"""Errors of the API server, and of the connection to it.

::

    ClusterError
    ├── ConflictError      somebody else has changed the object since it was read
    ├── ForbiddenError     the service account lacks a permission
    ├── NotFoundError      the object does not exist
    ├── RefusedError       the API server rejects the request
    └── UnavailableError   no answer, or only a temporary error
        └── ExpiredError   the API server no longer has that version: begin again

Every message names the action, the object, and the reason.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ClusterError",
    "ConflictError",
    "ExpiredError",
    "ForbiddenError",
    "NotFoundError",
    "RefusedError",
    "UnavailableError",
    "create_error",
    "describe_network_error",
]

MAX_MESSAGE: Final = 400


class ClusterError(Exception):
    """Base class of all errors of this package."""


class ConflictError(ClusterError):
    """The object was changed, or created, by somebody else: read it again."""


class ForbiddenError(ClusterError):
    """A permission is missing; the message names it."""


class NotFoundError(ClusterError):
    """The object does not exist."""


class RefusedError(ClusterError):
    """The API server refuses the request, and would refuse it again."""


class UnavailableError(ClusterError):
    """The API server does not answer now; it may do so later."""


class ExpiredError(UnavailableError):
    """The API server no longer has what came after a version: begin again with a list.

    Attributes:
        next_page: The token of the next page as it is now, for a list that may mix versions.
    """

    next_page = ""


ERRORS: Final[dict[int, type[ClusterError]]] = {
    401: UnavailableError,  # an expired token: the next request reads the new one
    403: ForbiddenError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    410: ExpiredError,
    429: UnavailableError,
}


def create_error(action: str, status: int, message: str) -> ClusterError:
    """Return the error for a response of the API server.

    Args:
        action: What was tried, as it follows "cannot": ``patch Secret a/b``.
        status: HTTP status, 300 or more.
        message: The reason that the API server gives.
    """
    fallback = RefusedError if status in range(400, 500) else UnavailableError
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}…"
    return ERRORS.get(status, fallback)(f"cannot {action}: {message} (HTTP {status})")


def describe_network_error(error: Exception) -> str:
    """Return the message of a network error, without the objects that urllib3 prints in it."""
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(">: ")[2] or type(reason).__name__
