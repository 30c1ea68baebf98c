"""Where registries are on the network, and which addresses may be gone to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from webhook.core.reference import DOCKER_HUB
from webhook.registry.hosts import HUB_HOST, known_as

if TYPE_CHECKING:
    from webhook.core import ImageReference

__all__ = ["DEFAULT_TAG", "Places", "blob_path", "host_of", "manifest_path"]

DEFAULT_TAG: Final = "latest"
PORTS: Final = {"http": 80, "https": 443}


def host_of(url: httpx.URL) -> str:
    """Return the name that the registry at *url* goes by."""
    return known_as(url.netloc.decode("ascii", "replace"))


def manifest_path(reference: ImageReference) -> str:
    """Return where the manifest of *reference* is: by its digest, else by its tag."""
    return f"manifests/{reference.digest or reference.tag or DEFAULT_TAG}"


def blob_path(digest: str) -> str:
    """Return where a blob of a repository is."""
    return f"blobs/{digest}"


@dataclass(frozen=True, slots=True)
class Places:
    """The addresses of registries.

    Attributes:
        plain_http: Registries that are spoken to without TLS, and no others.
    """

    plain_http: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        names = frozenset(map(known_as, self.plain_http))
        object.__setattr__(self, "plain_http", names)

    def below(self, reference: ImageReference, path: str) -> httpx.URL:
        """Return the address of a path below the repository of *reference*."""
        registry = reference.registry
        scheme = "http" if known_as(registry) in self.plain_http else "https"
        host = HUB_HOST if registry == DOCKER_HUB else registry
        return httpx.URL(f"{scheme}://{host}/v2/{reference.repository}/{path}")

    def may_be_gone_to(self, url: httpx.URL) -> bool:
        """Say whether *url* can be followed: with TLS, or to a host that is listed for none."""
        if not url.host or url.userinfo:
            return False
        return url.scheme == "https" or (url.scheme == "http" and host_of(url) in self.plain_http)

    def is_told_passwords(self, realm: httpx.URL, registry: httpx.URL) -> bool:
        """Say whether the password for *registry* may go to *realm*, which it names.

        The token protocol of the distribution project sends it wherever the registry
        says. From a registry without TLS that may be anybody's word, and so it then
        goes to the same host only.
        """
        if not self.may_be_gone_to(realm):
            return False
        return registry.scheme == "https" == realm.scheme or same_origin(realm, registry)


def same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    """Say whether two addresses have scheme, host and port in common."""
    return origin(one) == origin(other)


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return scheme, host and port."""
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)
