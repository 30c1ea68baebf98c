"""Find logins for registries in ``config.json`` files of Docker and Secrets of that form.

A file has user names and passwords, or names programs that know them. The entry for an image
is found as the kubelet finds it (`pull secrets`_): by host, with ``*`` for parts of it, and by
leading parts of the path; the longest path wins.

.. _pull secrets: https://kubernetes.io/docs/concepts/containers/images/#config-json
"""

from __future__ import annotations

import base64
import binascii
import json
import re
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
    "DockerConfig",
    "HelperLogin",
    "InvalidCredentialsError",
    "normalize_host",
    "parse_credentials",
]

# The host that serves the registry docker.io.
HUB_HOST: Final = "registry-1.docker.io"
HUB_NAMES: Final = frozenset({HUB_HOST, LEGACY_DOCKER_HUB})
# The name of docker.io to credential helpers, which is as old as Docker.
HUB_SERVER: Final = f"https://{LEGACY_DOCKER_HUB}/v1/"
# It becomes part of the name of a program, so it must not be a path or an option.
HELPER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# The kubelet updates a mounted Secret about once a minute.
REREAD_SECONDS: Final = 10.0


def normalize_host(host: str) -> str:
    """Return the one name used to look up a registry by its host, with or without a port."""
    name = host.lower().removesuffix(":443").removesuffix(":80")
    return DOCKER_HUB if name in HUB_NAMES else name


class InvalidCredentialsError(ValueError):
    """A file without logins in a known form; the message holds nothing of its content."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A login for one registry or path; `repr` shows no secret.

    Attributes:
        host: The registry, where a part may be ``*``.
        path: Leading parts of the repository; empty for all repositories.
        user: The user name; empty if there is a token instead.
        password: The password.
        refresh_token: What the token server of the registry takes instead of a password.
        registry_token: What the registry itself takes, without a token server.
    """

    host: str
    path: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def matches(self, host: str, repository: str) -> bool:
        """Return whether it is for a repository at *host*."""
        labels, patterns = host.split("."), self.host.split(".")
        if len(labels) != len(patterns) or not all(map(fnmatchcase, labels, patterns)):
            return False
        return not self.path or f"{repository}/".startswith(f"{self.path}/")

    @property
    def is_empty(self) -> bool:
        """Whether it has nothing to log in with."""
        has_password = self.user and self.password
        return not (has_password or self.refresh_token or self.registry_token)

    @property
    def authorization(self) -> str:
        """The ``Authorization`` header for the scheme Basic (RFC 7617)."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True)
class HelperLogin:
    """A login that a program knows.

    Attributes:
        name: The program is ``docker-credential-NAME``.
        server: What it calls the registry.
    """

    name: str
    server: str

    @property
    def program(self) -> str:
        """The name of the program."""
        return f"docker-credential-{self.name}"


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """What one file says about logins.

    Attributes:
        credentials: Its logins.
        helpers: The name of a helper for each registry that has its own.
        store: The helper for all other registries; empty without one.
        stored: Registries that Docker has put into it.
    """

    credentials: tuple[Credential, ...] = ()
    helpers: tuple[tuple[str, str], ...] = ()
    store: str = ""
    stored: frozenset[str] = frozenset()


def parse_credentials(content: bytes) -> DockerConfig:
    """Read a ``config.json`` or ``dockerconfigjson`` file.

    Raises:
        InvalidCredentialsError: It is not a JSON object with ``auths`` or credential helpers.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidCredentialsError("it is not JSON") from None
    keys = ("auths", "credHelpers", "credsStore")
    if not isinstance(value, dict) or not any(value.get(key) is not None for key in keys):
        problem = "it has no object auths: it is not a dockerconfigjson file"
        raise InvalidCredentialsError(problem)
    auths, helpers = (_read_object(value, key) for key in keys[:2])
    entries = [_read_login(name, entry) for name, entry in auths.items()]
    return DockerConfig(
        credentials=tuple(each for each in entries if not each.is_empty),
        helpers=tuple(
            (_split_name(host)[0], _read_helper("credHelpers", name))
            for host, name in helpers.items()
            if name
        ),
        store=_read_helper("credsStore", value.get("credsStore") or ""),
        stored=frozenset(each.host for each in entries if each.is_empty),
    )


def _read_object(value: dict[str, Any], key: str) -> dict[str, Any]:
    entries = value.get(key)
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise InvalidCredentialsError(f"{key} is not an object")
    return entries


def _read_helper(key: str, name: Any) -> str:
    if name and not (isinstance(name, str) and HELPER_NAME.fullmatch(name)):
        problem = f"{key} has something else than the NAME of a program docker-credential-NAME"
        raise InvalidCredentialsError(problem)
    return str(name)


def _read_login(name: str, entry: Any) -> Credential:
    """Return what an entry of ``auths`` has to log in with, which may be nothing."""
    host, path = _split_name(name)
    texts = entry if isinstance(entry, dict) else {}
    texts = {key: text for key, text in texts.items() if isinstance(text, str)}
    user, password = texts.get("username", ""), texts.get("password", "")
    if not (user and password):
        user, password = _decode_auth(texts.get("auth", ""))
    refresh_token, registry_token = texts.get("identitytoken", ""), texts.get("registrytoken", "")
    return Credential(host, path, user, password, refresh_token, registry_token)


def _decode_auth(text: str) -> tuple[str, str]:
    try:
        both = base64.b64decode(text, validate=True).decode()
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
    """The logins in some files, which are read again when they may have changed.

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
        self._configs: dict[str, DockerConfig] = {path: DockerConfig() for path in paths}
        self._problems: dict[str, str] = {}
        self._read = read
        self._clock = clock
        self._report = report
        self._next_read = float("-inf")

    def find(
        self, host: str, repository: str, *, is_named: bool = True
    ) -> Credential | HelperLogin | None:
        """Return the login for a repository at *host*; None if there is none.

        As with Docker, a helper for the registry comes first, and one for all registries last.

        Args:
            host: The registry.
            repository: The repository.
            is_named: Whether a rule names the registry. Otherwise the author of a Pod did, who must
                not start a program for each name that comes to mind.
        """
        now = self._clock()
        if self._configs and now >= self._next_read:
            self._next_read = now + REREAD_SECONDS
            for path in self._configs:
                self._reread(path)
        host = normalize_host(host)
        server = HUB_SERVER if host == DOCKER_HUB else host
        configs = self._configs.values()
        for config in configs:
            for other, name in config.helpers:
                if other == host:
                    return HelperLogin(name, server)
        matches = [
            credential
            for config in configs
            for credential in config.credentials
            if credential.matches(host, repository)
        ]
        if matches:
            return max(matches, key=lambda each: (len(each.path), each.host))
        for config in configs:
            if config.store and (is_named or host in config.stored):
                return HelperLogin(config.store, server)
        return None

    def _reread(self, path: str) -> None:
        """Read a file; if it is wrong, keep the last logins and report each problem once."""
        problem = ""
        try:
            self._configs[path] = parse_credentials(self._read(path))
        except OSError as error:
            problem = f"it cannot be read: {error.strerror or type(error).__name__}"
        except InvalidCredentialsError as error:
            problem = str(error)
        if problem and self._problems.get(path) != problem:
            self._report(f"credentials file {path}: {problem}")
        self._problems[path] = problem
