"""Say why a request to a registry failed, in words that name the fix.

The words of exceptions are never used: they may hold what was sent, and differ between systems.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final

import httpx

from webhook.registry.credentials import normalize_host
from webhook.registry.responses import CheckStatus, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["PROXY", "explain_failure"]

# The extension of a request that holds the variable of the proxy that was used.
PROXY: Final = "mirrorhook.proxy"

# getaddrinfo(3): the first is the answer for a name that does not exist, or that has no address.
NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})
ERRNOS: Final[Mapping[int | None, str]] = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ENETUNREACH: "there is no route to it",
    errno.EHOSTUNREACH: "there is no route to it",
}
# X509_V_ERR_… of OpenSSL.
UNKNOWN_CA: Final = "its CA is unknown: give its CA file as the ca of the mirror"
CERTIFICATES: Final[Mapping[int, str]] = {
    9: "it is not valid yet",
    10: "it has expired",
    18: UNKNOWN_CA,
    19: UNKNOWN_CA,
    20: UNKNOWN_CA,
    21: UNKNOWN_CA,
    62: "it is for another host",
    64: "it is for another host",
}
# What OpenSSL makes of an answer that is not TLS; those of older versions are last.
NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL"}
)
STATUS: Final = re.compile(r"[1-5]\d\d\b")


def explain_failure(error: httpx.HTTPError, host: str) -> RegistryError:
    """Return the error of ours for one of httpx.

    Args:
        error: What httpx raised.
        host: The registry that was asked.
    """
    if isinstance(error, httpx.TimeoutException):
        return RegistryError(CheckStatus.TIMEOUT)
    request = error.request
    status, detail = _explain(error, request.url, request.extensions.get(PROXY, ""))
    if normalize_host(_name(request.url)) == host:
        return RegistryError(status, detail)
    # A token server, or the target of a redirect. Its name is the registry's own words.
    if status is CheckStatus.UNKNOWN_HOST:
        status, detail = CheckStatus.UNREACHABLE, "its name does not exist"
    return RegistryError(status, f"the host that it leads to: {detail or 'not trusted'}")


def _explain(error: httpx.HTTPError, url: httpx.URL, proxy: str) -> tuple[CheckStatus, str]:
    """Return the status and the detail of a failure.

    Args:
        error: What httpx raised.
        url: What was requested.
        proxy: The variable of the proxy that was used; empty without one.
    """
    for cause in _list_causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CheckStatus.UNTRUSTED, CERTIFICATES.get(getattr(cause, "verify_code", 0), "")
        # Through a proxy, errors of TLS are those of the registry, others those of the proxy.
        if isinstance(cause, ssl.SSLError) and url.scheme == "https":
            return CheckStatus.UNREACHABLE, _explain_tls(cause, url)
        if isinstance(cause, socket.gaierror):
            return _explain_lookup(cause, proxy)
        if isinstance(cause, OSError) and cause.errno in ERRNOS:
            return CheckStatus.UNREACHABLE, _name_proxy(proxy) + ERRNOS[cause.errno]
    return CheckStatus.UNREACHABLE, _name_proxy(proxy) + _explain_protocol(error, url)


def _explain_lookup(error: socket.gaierror, proxy: str) -> tuple[CheckStatus, str]:
    if error.errno in NO_SUCH_NAME and not proxy:
        return CheckStatus.UNKNOWN_HOST, ""
    is_unknown = error.errno in NO_SUCH_NAME
    detail = "its name does not exist" if is_unknown else "DNS does not answer for its name"
    return CheckStatus.UNREACHABLE, _name_proxy(proxy) + detail


def _name_proxy(variable: str) -> str:
    return f"the proxy of {variable}: " if variable else ""


def _explain_tls(error: ssl.SSLError, url: httpx.URL) -> str:
    if error.reason in NO_TLS:
        return f"it does not speak TLS: if it has plain HTTP only, add {_name(url)} to plainHTTP"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"it ends the handshake: if it has plain HTTP only, add {_name(url)} to plainHTTP"
    # The name of a constant of OpenSSL, such as TLSV13_ALERT_CERTIFICATE_REQUIRED.
    reason = (error.reason or "").replace("_", " ").lower()
    return f"TLS fails: {reason}" if reason else "TLS fails"


def _explain_protocol(error: httpx.HTTPError, url: httpx.URL) -> str:
    if isinstance(error, httpx.ProxyError):
        # Nothing of what a proxy says but its status.
        status = STATUS.match(str(error))
        return f"HTTP {status[0]}" if status else "no connection"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    if isinstance(error, httpx.RemoteProtocolError) and url.scheme == "http":
        return f"it does not speak HTTP: if it has TLS, remove {_name(url)} from plainHTTP"
    return "the connection was interrupted"


def _name(url: httpx.URL) -> str:
    return url.netloc.decode("ascii", "replace")


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it was raised from, and the members of groups."""
    pending: list[BaseException | None] = [error]
    seen: list[BaseException] = []
    while pending:
        cause = pending.pop(0)
        if cause is None or cause in seen:
            continue
        seen.append(cause)
        yield cause
        members = cause.exceptions if isinstance(cause, BaseExceptionGroup) else ()
        pending += [cause.__cause__, cause.__context__, *members]
