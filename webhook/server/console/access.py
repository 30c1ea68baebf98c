"""Access control: only whoever may forward a port of the Pod sees the console.

`kubectl port-forward` comes from the loopback address of the Pod, and the API server
has checked the user. Other Pods, which reach this port for metrics, are refused. So is a
page of another site that reached this address by `DNS rebinding`_: its host name shows.

.. _DNS rebinding: https://en.wikipedia.org/wiki/DNS_rebinding
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from fastapi import HTTPException, Request, Response

__all__ = ["HEADERS", "require_local_visitor"]

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
LOOPBACK: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_FORWARD: Final = (
    "the console is open to kubectl port-forward only: run kubectl --namespace NAMESPACE "
    "port-forward POD 8080, and open http://localhost:8080/"
)


def require_local_visitor(request: Request, response: Response) -> None:
    """Refuse a visitor from elsewhere, and add the security headers for others.

    Raises:
        HTTPException: The client is not at loopback (403), or asks for another site (421).
    """
    client = request.client
    if client is None or not _is_loopback(client.host):
        raise HTTPException(403, _FORWARD, HEADERS)
    if not _is_local_name(request.url.hostname or ""):
        problem = "the console is served at localhost, not at the requested host name"
        raise HTTPException(421, problem, HEADERS)
    response.headers.update(HEADERS)


def _is_loopback(host: str) -> bool:
    """Return whether *host* is 127.0.0.1 or ::1; proxies of a mesh use others of 127.0.0.0/8."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address) in LOOPBACK


def _is_local_name(host: str) -> bool:
    """Return whether *host* cannot be registered in DNS: an address, or a name without a dot."""
    if "." not in host or host.endswith(".localhost"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
