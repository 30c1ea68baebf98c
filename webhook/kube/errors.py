"""What can go wrong between us and the API server.

Our exception tree::

    ClusterError
    ├── ConflictError      somebody else has changed the object since it was read
    ├── ForbiddenError     our service account may not do it
    ├── NotFoundError      there is no such object
    ├── RefusedError       the API server finds the request wrong
    └── UnavailableError   no answer, or none that says anything about the object

Every message says what was tried, on which object, and what came of it.
"""

from __future__ import annotations

__all__ = [
    "ClusterError",
    "ConflictError",
    "ForbiddenError",
    "NotFoundError",
    "RefusedError",
    "UnavailableError",
    "error_of",
]

MAX_MESSAGE = 400


class ClusterError(Exception):
    """Any of them."""


class ConflictError(ClusterError):
    """The object has been changed, or made, by somebody else: read it again."""


class ForbiddenError(ClusterError):
    """A permission is missing; the message says which."""


class NotFoundError(ClusterError):
    """There is no such object."""


class RefusedError(ClusterError):
    """The API server refuses the request, and would do so again."""


class UnavailableError(ClusterError):
    """The API server cannot be asked now; it may be later."""


REFUSALS: dict[int, type[ClusterError]] = {
    401: UnavailableError,  # a token that has just expired is read anew
    403: ForbiddenError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    410: UnavailableError,  # a watch from too long ago: begin anew
    429: UnavailableError,
}


def error_of(action: str, status: int, message: str) -> ClusterError:
    """Return the error for an answer of the API server.

    Args:
        action: What was tried, as it follows "cannot": ``patch Secret a/b``.
        status: HTTP status, 300 or more.
        message: What the API server says to it.
    """
    server_error = status >= 500 or status < 400  # noqa: PLR2004 - the classes of HTTP
    kind = REFUSALS.get(status, UnavailableError if server_error else RefusedError)
    shown = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}…"
    return kind(f"cannot {action}: {shown} (HTTP {status})")
