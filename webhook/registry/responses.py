"""Read what registries answer: statuses, manifests and their platforms, within limits.

No text of a registry gets into a result: it could repeat what it was sent, such as a password.

.. _distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

import httpx

from webhook.core.reference import is_digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from webhook.core import Platform

__all__ = [
    "MEDIA_TYPES",
    "CheckResult",
    "CheckStatus",
    "RegistryError",
    "find_config_digest",
    "find_missing_platforms",
    "interpret_response",
    "list_platforms",
    "parse_object",
    "read_body",
]

OCI: Final = "application/vnd.oci.image."
DOCKER: Final = "application/vnd.docker.distribution.manifest."
MEDIA_TYPES: Final = (
    f"{OCI}index.v1+json",
    f"{OCI}manifest.v1+json",
    f"{DOCKER}list.v2+json",
    f"{DOCKER}v2+json",
)
# The largest manifest that registries have to accept (distribution-spec).
MAX_BODY: Final = 4 * 1024 * 1024
# Each part of a body costs time. Servers send some KB at once, and networks 1.4 KB, so
# that parts which are smaller on average, after the first few, are meant to cost time.
MIN_PART: Final = 256
FREE_PARTS: Final = 64
SERVER_ERRORS: Final = range(500, 600)


class CheckStatus(StrEnum):
    """The outcome of one image check; also a label of the metric."""

    PRESENT = "present"
    ABSENT = "absent"  # 404
    FORBIDDEN = "forbidden"  # 403
    PAGE = "page"  # 200, but not a manifest
    MISDIRECTED = "misdirected"  # a redirect that cannot be followed
    PLATFORM = "platform"
    MISMATCH = "mismatch"
    UNAUTHORIZED = "unauthorized"  # 401
    LIMITED = "limited"  # 429
    FAILED = "failed"  # 5xx
    UNEXPECTED = "unexpected"  # any other status
    TIMEOUT = "timeout"
    UNKNOWN_HOST = "unknown-host"  # DNS has no such name
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"  # its certificate
    UNVERIFIED = "unverified"  # there is no digest to compare
    DOWN = "down"  # the circuit breaker is open
    PENDING = "pending"  # no answer within the budget of the review
    BUSY = "busy"  # too many checks at once
    ERROR = "error"  # an internal error

    @property
    def is_absent(self) -> bool:
        """Whether no runtime could pull the image either, whatever its credentials."""
        return self in _ABSENT

    @property
    def is_failure(self) -> bool:
        """Whether the registry failed, which shows nothing about the image."""
        return self in _FAILURES


# Looking up a member takes as long as the rest of a check whose result is known.
_PRESENT: Final = CheckStatus.PRESENT
_ABSENT: Final = frozenset(
    {
        CheckStatus.ABSENT,
        CheckStatus.FORBIDDEN,
        CheckStatus.PAGE,
        CheckStatus.MISDIRECTED,
        CheckStatus.PLATFORM,
        CheckStatus.MISMATCH,
    }
)
_FAILURES: Final = frozenset(
    {
        CheckStatus.LIMITED,
        CheckStatus.FAILED,
        CheckStatus.TIMEOUT,
        CheckStatus.UNKNOWN_HOST,
        CheckStatus.UNREACHABLE,
        CheckStatus.UNTRUSTED,
    }
)
_REASONS: Final[Mapping[CheckStatus, str]] = {
    CheckStatus.PRESENT: "has it",
    CheckStatus.ABSENT: "does not have it",
    CheckStatus.FORBIDDEN: "refuses access to it",
    CheckStatus.PAGE: "sends something that is not a manifest",
    CheckStatus.MISDIRECTED: "sends a redirect that cannot be followed",
    CheckStatus.PLATFORM: "has it for other platforms only",
    CheckStatus.MISMATCH: "has another image under that name",
    CheckStatus.UNAUTHORIZED: "requires authentication",
    CheckStatus.LIMITED: "limits the rate of requests",
    CheckStatus.FAILED: "fails",
    CheckStatus.UNEXPECTED: "sends an unexpected response",
    CheckStatus.TIMEOUT: "does not answer in time",
    CheckStatus.UNKNOWN_HOST: "does not exist in DNS",
    CheckStatus.UNREACHABLE: "cannot be reached",
    CheckStatus.UNTRUSTED: "has a certificate that is not trusted",
    CheckStatus.UNVERIFIED: "has an image that cannot be verified",
    CheckStatus.DOWN: "is not asked because it keeps failing",
    CheckStatus.PENDING: "did not answer within the budget of the review",
    CheckStatus.BUSY: "is not asked because too many checks are open",
    CheckStatus.ERROR: "could not be asked because of an internal error",
}
_STATUSES: Final = {
    401: CheckStatus.UNAUTHORIZED,
    403: CheckStatus.FORBIDDEN,
    404: CheckStatus.ABSENT,
    429: CheckStatus.LIMITED,
}


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one image check.

    Attributes:
        status: The outcome.
        detail: More about it, never in the registry's own words.
        digest: The digest of the manifest, if it is there and the registry sent it.
        seconds: How long the check took.
        was_present: For a registry that is down, whether it is known to have the image.
    """

    status: CheckStatus
    detail: str = ""
    digest: str = ""
    seconds: float = 0.0
    was_present: bool = False

    @property
    def is_present(self) -> bool:
        """Whether the registry has the image."""
        return self.status is _PRESENT

    @property
    def reason(self) -> str:
        """The result in words that follow the registry's name in a sentence."""
        words = _REASONS[self.status]
        return f"{words} ({self.detail})" if self.detail else words


class RegistryError(Exception):
    """A request to a registry without a usable response; *result* says why."""

    def __init__(self, status: CheckStatus, detail: str = "") -> None:
        self.result = CheckResult(status, detail)
        super().__init__(self.result.reason)


def interpret_response(status: int, headers: Mapping[str, str], wanted: str = "") -> CheckResult:
    """Return what the response to a request for a manifest shows (`distribution`_).

    Args:
        status: HTTP status of the last response, after redirects and authentication.
        headers: Headers of the response, by names whose case does not matter.
        wanted: The digest that was asked for; empty for a tag.
    """
    if status != httpx.codes.OK:
        other = CheckStatus.FAILED if status in SERVER_ERRORS else CheckStatus.UNEXPECTED
        return CheckResult(_STATUSES.get(status, other), f"HTTP {status}")
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        return CheckResult(CheckStatus.PAGE, "a web page" if media_type == "text/html" else "")
    digest = headers.get("Docker-Content-Digest", "")
    digest = digest if is_digest(digest) else ""
    if wanted and digest and digest != wanted:
        detail = "it sends another digest than the one requested"
        return CheckResult(CheckStatus.MISMATCH, detail)
    return CheckResult(CheckStatus.PRESENT, digest=digest or wanted)


def find_config_digest(manifest: bytes) -> str | None:
    """Return the digest of the configuration, which holds the platform of an image.

    Returns:
        An empty string for an index; None for anything that is not a manifest.
    """
    value = parse_object(manifest)
    if isinstance(value.get("manifests"), list):
        return ""
    config = value.get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    return digest if isinstance(digest, str) and is_digest(digest) else None


def list_platforms(document: bytes) -> list[tuple[str, str, str]]:
    """Return each (os, architecture, variant) in an index or an image configuration."""
    value = parse_object(document)
    entries = value.get("manifests")
    if not isinstance(entries, list):
        entries = [{"platform": value}]
    platforms = [entry.get("platform") for entry in entries if isinstance(entry, dict)]
    return [
        (str(each.get("os", "")), str(each.get("architecture", "")), str(each.get("variant", "")))
        for each in platforms
        if isinstance(each, dict)
    ]


def find_missing_platforms(
    wanted: Iterable[Platform], present: Iterable[tuple[str, str, str]]
) -> list[Platform]:
    """Return the wanted platforms that are not among those present."""
    present = [*present]
    return [each for each in wanted if not any(each.covers(*one) for one in present)]


def parse_object(document: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one if the document is anything else."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


async def read_body(response: httpx.Response, limit: int = MAX_BODY) -> bytes:
    """Read the body of a response into memory.

    Args:
        response: The response.
        limit: How many bytes it may have.

    Raises:
        RegistryError: It is larger, or comes in tiny parts.
        httpx.HTTPError: It breaks off.
    """
    # Requests accept no encoding; one sent all the same could expand without limit.
    response.headers.pop("Content-Encoding", None)
    response.stream = _LimitedStream(cast("httpx.AsyncByteStream", response.stream), limit)
    content = await response.aread()
    # The stream refers to the response: without it, both are freed when they go out of use.
    response.stream = httpx.ByteStream(b"")
    return content


class _LimitedStream(httpx.AsyncByteStream):
    """A body that raises RegistryError when it is too large, or comes in tiny parts."""

    def __init__(self, stream: httpx.AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = parts = 0
        try:
            async for part in self._stream:
                size += len(part)
                parts += 1
                if size > self._limit:
                    detail = f"it is larger than {self._limit} bytes"
                    raise RegistryError(CheckStatus.UNEXPECTED, detail)
                if parts > FREE_PARTS + size / MIN_PART:
                    raise RegistryError(CheckStatus.UNEXPECTED, "in tiny parts")
                yield part
        except OSError as error:  # as in transport.py
            raise httpx.ReadError("") from error

    async def aclose(self) -> None:
        await self._stream.aclose()
