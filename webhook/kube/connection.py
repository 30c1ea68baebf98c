"""Requests to the API server, over the `kubernetes` package.

Of that package we take the configuration (service account or kubeconfig) and the
connection pool; objects stay JSON, as its models would drop fields that are newer
than they are, and cost half a second and 25 MiB to import.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from urllib3.exceptions import HTTPError

from webhook import __version__
from webhook.kube.errors import ClusterError, UnavailableError, error_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Connection", "described", "message_of"]

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
# As client-go asks: RFC 7396 leaves fields alone that the patch does not name, and the
# strategic form knows in addition that webhooks are told apart by name.
STRATEGIC_MERGE: Final = "application/strategic-merge-patch+json"
CONTENT_TYPES: Final = {"POST": "application/json", "PATCH": STRATEGIC_MERGE}


class Connection:
    """A way to one API server.

    Args:
        configuration: Where it is, and who we are.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._pool = RESTClientObject(configuration).pool_manager

    @classmethod
    def open(cls, kubeconfig: Path | None = None) -> Connection:
        """Find the API server.

        Args:
            kubeconfig: File that says where; None in a Pod, whose service account does.

        Raises:
            ClusterError: There is no service account, or the file is wrong.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None:
                source = "this Pod's service account"
                config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            else:
                source = str(kubeconfig)
                config.load_kube_config(source, client_configuration=configuration)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - a kubeconfig can be wrong in any way
            raise ClusterError(
                f"cannot learn from {source} where the API server is: {error}"
            ) from None
        return cls(configuration)

    @property
    def host(self) -> str:
        """URL of the API server."""
        return str(self._configuration.host)

    @property
    def configuration(self) -> Configuration:
        """Where it is, and who we are."""
        return self._configuration

    def text(self, action: str, path: str) -> tuple[int, str]:
        """Return the status and the text of an answer, whatever it is.

        Args:
            action: What it does, as it follows "cannot".
            path: Path to ask for.

        Raises:
            UnavailableError: There is no answer.
        """
        try:
            response = self._pool.request(
                "GET",
                f"{self._configuration.host}{path}",
                headers=self._headers("GET") | {"Accept": "*/*"},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                retries=False,
                redirect=False,
            )
        except (HTTPError, OSError, config.ConfigException) as error:
            raise UnavailableError(f"cannot {action}: {described(error)}") from None
        return response.status, response.data.decode("utf-8", "replace")

    def send(
        self,
        action: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        silence: float = READ_SECONDS,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request, and return the answer when its head is there.

        Args:
            action: What it does, as it follows "cannot".
            method: HTTP method.
            path: Path of the resource.
            query: Parameters.
            body: What to send.
            silence: Seconds without a byte after which it counts as lost.

        Raises:
            ClusterError: Of the kind that the answer is.
        """
        url = f"{self._configuration.host}{path}"
        if query:
            url += f"?{urlencode(query)}"
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers=self._headers(method),
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=silence),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            if response.status < 300:  # noqa: PLR2004 - the classes of HTTP
                return response
            text = response.data
        except (HTTPError, OSError, config.ConfigException) as error:
            raise UnavailableError(f"cannot {action}: {described(error)}") from None
        raise error_of(action, response.status, message_of(text))

    def call(
        self,
        action: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send one request, and return the object that comes back.

        Raises:
            ClusterError: As `send`.
        """
        response = self.send(action, method, path, query=query, body=body)
        try:
            answer = json.loads(response.data)
        except (HTTPError, OSError) as error:
            raise UnavailableError(f"cannot {action}: {described(error)}") from None
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise UnavailableError(f"cannot {action}: the answer is no JSON object")
        return answer

    def _headers(self, method: str) -> dict[str, str]:
        """Return the headers of a request, with a token that is read anew as it ages."""
        headers = {"Accept": "application/json", "User-Agent": f"mirrorhook/{__version__}"}
        if method in CONTENT_TYPES:
            headers["Content-Type"] = CONTENT_TYPES[method]
        token = self._configuration.auth_settings().get("BearerToken")
        if token is not None and token["value"]:
            headers["Authorization"] = token["value"]
        return headers


def message_of(body: bytes) -> str:
    """Return what an answer that is no success says: the message of its Status."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    message = status.get("message") if isinstance(status, dict) else None
    return str(message) if message else "the API server gives no reason"


def described(error: Exception) -> str:
    """Return what an error of the network says, without the objects it prints."""
    reason = getattr(error, "reason", None) or error
    text = str(reason)
    return text.rpartition(">: ")[2] or type(reason).__name__
