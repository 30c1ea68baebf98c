"""URLs of registries, as the targets of mirrors."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

__all__ = ["HUB_HOSTS", "target_of"]

HUB_HOSTS: Final = ("registry-1.docker.io", "index.docker.io", "registry.hub.docker.com")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
API: Final = "/v2"


def target_of(url: str, *, overrides: bool) -> str | None:
    """Return ``host[:port][/path]`` of a URL.

    Args:
        url: A URL; without a scheme it is one of HTTPS.
        overrides: Whether its path is asked as it is. Then ``/v2/path`` is a path of the
            repository; else ``/v2`` comes after the path, and no name can say that.

    Returns:
        None if no image name leads there: by plain HTTP to another machine, or by a path
        before ``/v2``. The empty text for an empty one.
    """
    if not url:
        return ""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return None
    host = "docker.io" if parts.netloc in HUB_HOSTS else parts.netloc
    path = parts.path.rstrip("/")
    if path in ("", API):
        return host
    if overrides and path.startswith(f"{API}/"):
        return host + path.removeprefix(API)
    return None
