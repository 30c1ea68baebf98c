"""Credentials from ``dockerconfigjson`` files, as Secrets of that type hold them.

Which entry is for an image is found as the kubelet finds it (`pull secrets`_): by
host, with ``*`` for parts of it, and by leading parts of the path; the longest wins.

.. _pull secrets: https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from webhook.core.reference import DOCKER_HUB
from webhook.registry.hosts import known_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Credential", "CredentialFiles", "InvalidCredentialsError", "parse_credentials"]

# A Secret comes to its Pod about a minute after it was changed.
REREAD_SECONDS: Final = 10.0


class InvalidCredentialsError(ValueError):
    """A file that is no ``dockerconfigjson``; the message holds nothing of its content."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user and a password, for one place; neither is ever shown.

    Attributes:
        host: The registry, where a part may be ``*``.
        path: Leading parts of the repository; empty for all of it.
    """

    host: str
    path: str
    user: str = field(repr=False)
    password: str = field(repr=False)

    def is_for(self, host: str, repository: str) -> bool:
        """Say whether it is for a repository at *host*."""
        labels, patterns = host.split("."), self.host.split(".")
        if len(labels) != len(patterns) or not all(map(fnmatchcase, labels, patterns)):
            return False
        return not self.path or f"{repository}/".startswith(f"{self.path}/")

    @property
    def basic(self) -> str:
        """The value of the header ``Authorization`` (RFC 7617)."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def parse_credentials(content: bytes) -> list[Credential]:
    """Read a ``dockerconfigjson`` file.

    Entries without a user or a password are left out.

    Raises:
        InvalidCredentialsError: It is no JSON object with ``auths``.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidCredentialsError("it is not JSON") from None
    entries = value.get("auths") if isinstance(value, dict) else None
    if not isinstance(entries, dict):
        raise InvalidCredentialsError("it has no object auths, as dockerconfigjson has")
    found = []
    for name, entry in entries.items():
        user, password = pair_of(entry)
        if user and password:
            host, path = place_of(name)
            found.append(Credential(host, path, user, password))
    return found


def pair_of(entry: Any) -> tuple[str, str]:
    """Return user and password of an entry; empty where it has none."""
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


def place_of(name: str) -> tuple[str, str]:
    """Return host and path of an entry's name, which may be a URL."""
    host, _, path = name.rpartition("://")[2].partition("/")
    host = known_as(host)
    # Behind Docker Hub stands /v1/, which is no repository.
    return host, "" if host == DOCKER_HUB else path.strip("/")


class CredentialFiles:
    """The credentials in some files, read again when these change.

    Args:
        paths: The files.
        read: Gives the content of a file.
        clock: Gives seconds that only grow.
        trouble: Is told in a sentence that a file cannot be used.
    """

    def __init__(
        self,
        paths: Iterable[str],
        *,
        read: Callable[[str], bytes],
        clock: Callable[[], float],
        trouble: Callable[[str], None],
    ) -> None:
        self._known: dict[str, list[Credential]] = {path: [] for path in paths}
        self._told: dict[str, str] = {}
        self._read = read
        self._clock = clock
        self._trouble = trouble
        self._next = float("-inf")

    def for_(self, host: str, repository: str) -> Credential | None:
        """Return the credential for a repository at *host*; None if there is none."""
        if self._known and self._clock() >= self._next:
            self._next = self._clock() + REREAD_SECONDS
            for path in self._known:
                self._reread(path)
        host = known_as(host)
        fitting = [
            credential
            for credentials in self._known.values()
            for credential in credentials
            if credential.is_for(host, repository)
        ]
        return max(fitting, key=lambda each: (len(each.path), each.host), default=None)

    def _reread(self, path: str) -> None:
        """Read a file again; one that is wrong keeps what was in it, and is told of once."""
        problem = ""
        try:
            self._known[path] = parse_credentials(self._read(path))
        except OSError as error:
            problem = f"it cannot be read: {error.strerror or type(error).__name__}"
        except InvalidCredentialsError as error:
            problem = str(error)
        if problem and self._told.get(path) != problem:
            self._trouble(f"credentials file {path}: {problem}")
        self._told[path] = problem
