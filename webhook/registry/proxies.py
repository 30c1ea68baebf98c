"""Select the proxy for a request by the environment, as programs written in Go do (`httpproxy`_).

The variables are HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or the same in lower case.

.. _httpproxy: https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httpx

from webhook.registry.responses import CheckStatus, RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Proxies", "Proxy", "read_proxies"]

PORTS: Final = {"http": "80", "https": "443"}
# An IPv4 address may be written as an IPv6 address, after this many bits (RFC 4291).
MAPPED_BITS: Final = 96


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy for requests.

    Attributes:
        variable: Where it is configured.
        url: Its URL, which may hold a password.
    """

    variable: str
    url: httpx.URL = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Exception:
    """An entry of NO_PROXY; everything that is empty matches anything.

    Attributes:
        name: A host, and the hosts below it; with a dot in front only those; ``*`` for all.
        network: An address or a network.
        port: A port.
        scheme: A scheme, which httpx knows.
    """

    name: str = ""
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    port: str = ""
    scheme: str = ""

    def matches(self, url: httpx.URL) -> bool:
        """Return whether a request is sent without a proxy."""
        if self.port not in ("", str(url.port or PORTS[url.scheme])):
            return False
        if self.scheme not in ("", "all", url.scheme):
            return False
        host = url.raw_host.decode("ascii", "replace").lower()
        address = _parse_address(host)
        if self.name == "*":
            return True
        if self.network is not None:
            return address is not None and address in self.network
        return address is None and self._matches_name(host)

    def _matches_name(self, host: str) -> bool:
        return host == self.name or host.endswith(f".{self.name.removeprefix('.')}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of an environment.

    Attributes:
        by_scheme: The variable and the value for URLs of a scheme.
        exceptions: The entries of NO_PROXY.
    """

    by_scheme: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    exceptions: tuple[_Exception, ...] = ()

    def find(self, url: httpx.URL) -> Proxy | None:
        """Return the proxy for a request; None if it needs none.

        Raises:
            RegistryError: The variable has no proxy that can be used.
        """
        variable, value = self.by_scheme.get(url.scheme, ("", ""))
        if not value or _is_loopback(url.host):
            return None
        if any(each.matches(url) for each in self.exceptions):
            return None
        return Proxy(variable, _parse_proxy(variable, value))


def read_proxies(environment: Mapping[str, str]) -> Proxies:
    """Return the proxies of an environment."""
    by_scheme = {}
    for scheme in PORTS:
        name = f"{scheme}_proxy"
        variable = next((each for each in (name.upper(), name) if environment.get(each)), "")
        if variable:
            by_scheme[scheme] = variable, environment[variable].strip()
    text = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    entries = (entry.strip().lower() for entry in text.split(","))
    exceptions = (_parse_exception(entry) for entry in entries if entry)
    return Proxies(by_scheme, tuple(each for each in exceptions if each.name or each.network))


def _parse_proxy(variable: str, value: str) -> httpx.URL:
    try:
        url = httpx.URL(value if "://" in value else f"http://{value}")
        is_valid = url.scheme in PORTS and bool(url.host)
    except httpx.InvalidURL:
        is_valid = False
    if not is_valid:
        detail = f"{variable} has no proxy that can be used: write http://host:port"
        raise RegistryError(CheckStatus.UNREACHABLE, detail)
    return url


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_loopback(host: str) -> bool:
    address = _parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


def _parse_exception(entry: str) -> _Exception:
    scheme, _, entry = entry.rpartition("://")
    name, port = _split_port(entry)
    try:
        network = ipaddress.ip_network(name, strict=False)
    except ValueError:
        name = name[1:] if name.startswith("*.") else name
        return _Exception(name=_to_ascii(name), port=port, scheme=scheme)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            network = ipaddress.ip_network((mapped, network.prefixlen - MAPPED_BITS))
    return _Exception(network=network, port=port, scheme=scheme)


def _split_port(entry: str) -> tuple[str, str]:
    """Split a host and a port; an IPv6 address has its own colons, and brackets with a port."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = entry.partition(":")
    return (entry, "") if ":" in port else (name, port)


def _to_ascii(name: str) -> str:
    try:
        return name.encode("idna").decode() if not name.isascii() else name
    except UnicodeError:
        return name
