"""Find credentials for registries in ``dockerconfigjson`` files, as Secrets of that type hold them.

The entry for an image is found as the kubelet finds it (`pull secrets`_): by host, with
``*`` for parts of it, and by leading parts of the path; the longest path wins.

.. _pull secrets: https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from webhook.core.reference import DOCKER_HUB, LEGACY_DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "HUB_HOST",
    "Credential",
    "CredentialStore",
    "InvalidCredentialsError",
    "normalize_host",
    "parse_credentials",
]

# The host that serves the registry docker.io.
HUB_HOST: Final = "registry-1.docker.io"
HUB_NAMES: Final = frozenset({HUB_HOST, LEGACY_DOCKER_HUB})
# The kubelet updates a mounted Secret about once a minute.
REREAD_SECONDS: Final = 10.0


def normalize_host(host: str) -> str:
    """Return the one name used to look up a registry by its host, with or without a port."""
    name = host.lower().removesuffix(":443").removesuffix(":80")
    return DOCKER_HUB if name in HUB_NAMES else name


class InvalidCredentialsError(ValueError):
    """A file that is not a ``dockerconfigjson``; the message holds nothing of its content."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and a password for one registry or path; `repr` shows neither.

    Attributes:
        host: The registry, where a part may be ``*``.
        path: Leading parts of the repository; empty for all repositories.
        user: The user name.
        password: The password.
    """

    host: str
    path: str
    user: str = field(repr=False)
    password: str = field(repr=False)

    def matches(self, host: str, repository: str) -> bool:
        """Return whether it is for a repository at *host*."""
        labels, patterns = host.split("."), self.host.split(".")
        if len(labels) != len(patterns) or not all(map(fnmatchcase, labels, patterns)):
            return False
        return not self.path or f"{repository}/".startswith(f"{self.path}/")

    @property
    def authorization(self) -> str:
        """The ``Authorization`` header for the scheme Basic (RFC 7617)."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def parse_credentials(content: bytes) -> list[Credential]:
    """Read a ``dockerconfigjson`` file; entries without a user or a password are left out.

    Raises:
        InvalidCredentialsError: It is not a JSON object with ``auths``.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidCredentialsError("it is not JSON") from None
    entries = value.get("auths") if isinstance(value, dict) else None
    if not isinstance(entries, dict):
        raise InvalidCredentialsError("it has no object auths: it is not a dockerconfigjson file")
    credentials = []
    for name, entry in entries.items():
        user, password = _read_login(entry)
        if user and password:
            host, path = _split_name(name)
            credentials.append(Credential(host, path, user, password))
    return credentials


def _read_login(entry: Any) -> tuple[str, str]:
    """Return the user and the password of an entry; empty if it has none."""
    if not isinstance(entry, dict):
        return "", ""
    user, password = entry.get("username"), entry.get("password")
    if isinstance(user, str) and isinstance(password, str):
        return user, password
    try:
        both = base64.b64decode(str(entry.get("auth", "")), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    user, _, password = both.partition(":")
    return user, password


def _split_name(name: str) -> tuple[str, str]:
    """Return the host and the path in the name of an entry, which may be a URL."""
    host, _, path = name.rpartition("://")[2].partition("/")
    host = normalize_host(host)
    # Docker Hub's entry ends in /v1/, which is not a repository.
    return host, "" if host == DOCKER_HUB else path.strip("/")


class CredentialStore:
    """The credentials in some files, which are read again when they may have changed.

    Args:
        paths: The files.
        read: Returns the content of a file.
        clock: Monotonic time in seconds.
        report: Is called with a sentence when a file cannot be used.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        read: Callable[[str], bytes],
        clock: Callable[[], float],
        report: Callable[[str], None],
    ) -> None:
        self._credentials: dict[str, list[Credential]] = {path: [] for path in paths}
        self._problems: dict[str, str] = {}
        self._read = read
        self._clock = clock
        self._report = report
        self._next_read = float("-inf")

    def find(self, host: str, repository: str) -> Credential | None:
        """Return the credential for a repository at *host*; None if there is none."""
        now = self._clock()
        if self._credentials and now >= self._next_read:
            self._next_read = now + REREAD_SECONDS
            for path in self._credentials:
                self._reread(path)
        host = normalize_host(host)
        matches = [
            credential
            for credentials in self._credentials.values()
            for credential in credentials
            if credential.matches(host, repository)
        ]
        return max(matches, key=lambda each: (len(each.path), each.host), default=None)

    def _reread(self, path: str) -> None:
        """Read a file; if it is wrong, keep the last credentials and report each problem once."""
        problem = ""
        try:
            self._credentials[path] = parse_credentials(self._read(path))
        except OSError as error:
            problem = f"it cannot be read: {error.strerror or type(error).__name__}"
        except InvalidCredentialsError as error:
            problem = str(error)
        if problem and self._problems.get(path) != problem:
            self._report(f"credentials file {path}: {problem}")
        self._problems[path] = problem
