"""Who may look: whoever may forward a port of the Pod, and nobody else.

`kubectl port-forward` comes from the loopback address of the Pod, and the API server
has checked who asked for it. Other Pods, which reach this port for metrics, are told
nothing. A page of another site that a browser was led to think is here (`DNS
rebinding`_) gives itself away by its name.

.. _DNS rebinding: https://en.wikipedia.org/wiki/DNS_rebinding
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from fastapi import HTTPException, Request, Response

__all__ = ["HEADERS", "admit"]

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
FORWARD: Final = (
    "the console is for kubectl port-forward only: kubectl --namespace NAMESPACE "
    "port-forward POD 8080, and open http://localhost:8080/"
)


def admit(request: Request, response: Response) -> None:
    """Let a visitor in, and give the answer its headers.

    Raises:
        HTTPException: The visitor comes from elsewhere, or asks for another site.
    """
    client = request.client
    if client is None or not is_loopback(client.host):
        raise HTTPException(403, FORWARD, HEADERS)
    if not is_local_name(request.url.hostname or ""):
        problem = "the console is at localhost, and not at the name that was asked for"
        raise HTTPException(421, problem, HEADERS)
    response.headers.update(HEADERS)


def is_loopback(host: str) -> bool:
    """Say whether an address is of this machine or Pod itself."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def is_local_name(host: str) -> bool:
    """Say whether nobody could have registered *host*: an address, or a name without a dot."""
    if "." not in host or host.endswith(".localhost"):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
