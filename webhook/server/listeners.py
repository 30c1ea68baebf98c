"""A port, and the server behind it."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn import Config

from webhook.server.owned import GuardedServer
from webhook.server.protocol import LIMITS, GuardedProtocol, Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from webhook.server.certificates import ServingCertificate

__all__ = ["BACKLOG", "SETTINGS", "ListenError", "Listener", "listen"]

# Each API server dials anew when many Pods come at once, or all of them restart.
BACKLOG: Final = 2048
# With the drain before it, within the 30 seconds that Kubernetes gives a Pod to end.
GRACE_SECONDS: Final = 20
# What uvicorn does for applications of all kinds, and none of ours needs.
SETTINGS: Final[dict[str, Any]] = {
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "proxy_headers": False,
    "server_header": False,
}


class ListenError(Exception):
    """A port that cannot be listened on; the message says why."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens, and the server that is to answer there."""

    socket: socket.socket
    server: GuardedServer
    scheme: str

    @property
    def address(self) -> str:
        """The URL to reach it at."""
        host, port = self.socket.getsockname()[:2]
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def listen(
    host: str,
    port: int,
    app: ASGIApp,
    certificate: ServingCertificate | None = None,
    *,
    limits: Limits = LIMITS,
) -> Listener:
    """Listen on a TCP port for *app*.

    Args:
        host: Address or name; empty for every address, of IPv6 too where there is one.
        port: The port; 0 for any free one.
        app: What answers.
        certificate: For TLS; None for plain HTTP.
        limits: What one connection may take.

    Raises:
        ListenError: The port is in use, not permitted, or the host not of this machine.
    """
    opened = opened_socket(host, port)
    protocol = partial(GuardedProtocol, limits=limits)
    config = Config(
        app,
        http=cast("type[GuardedProtocol]", protocol),
        backlog=BACKLOG,
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        **SETTINGS,
    )
    return Listener(opened, GuardedServer(config), "https" if certificate else "http")


def opened_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ListenError: As `listen`.
    """
    try:
        if not host and socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"port {port} of {host}" if host else f"port {port}"
        raise ListenError(f"cannot listen on {where}: {reason}") from None
