"""A client of the API server."""

from __future__ import annotations

import re
import ssl
from typing import Any

import httpx

__all__ = ["Api", "namespaced"]

METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
PATCHES = {
    "merge": "application/merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Api:
    """A client of an API server.

    Args:
        server: URL of the API server.
        authority: CA of the API server, in PEM.
        token: Bearer token of the client.
    """

    def __init__(self, server: str, authority: str, token: str) -> None:
        self.server = server
        self._client = httpx.Client(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cadata=authority),
            timeout=60,
        )

    def close(self) -> None:
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> httpx.Response:
        """Send a request and return the response, whatever its status."""
        return self._client.request(method, path, json=body, params=query)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return done(self.ask("GET", path, **query)).json()

    def find(self, path: str) -> dict[str, Any] | None:
        answer = self.ask("GET", path)
        return None if answer.status_code == httpx.codes.NOT_FOUND else done(answer).json()

    def post(self, path: str, body: Any, **query: str) -> dict[str, Any]:
        return done(self.ask("POST", path, body, **query)).json()

    def put(self, path: str, body: Any) -> dict[str, Any]:
        return done(self.ask("PUT", path, body)).json()

    def patch(self, path: str, body: Any, kind: str = "merge", **query: str) -> dict[str, Any]:
        answer = self._client.patch(
            path, json=body, params=query, headers={"Content-Type": PATCHES[kind]}
        )
        return done(answer).json()

    def delete(self, path: str) -> None:
        done(self.ask("DELETE", path, gracePeriodSeconds="0"))

    def create_token(self, namespace: str, account: str) -> str:
        """Return a token of a service account."""
        path = namespaced("serviceaccounts", namespace, f"{account}/token")
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return self.post(path, body)["status"]["token"]

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz").is_success
        except httpx.TransportError:
            return False

    def metric(self, name: str, /, **labels: str) -> float:
        """Return the sum of the series of a metric that have the given labels."""
        total = 0.0
        for found, given, value in METRIC.findall(done(self.ask("GET", "/metrics")).text):
            if found == name and labels.items() <= dict(LABEL.findall(given)).items():
                total += float(value)
        return total


def done(answer: httpx.Response) -> httpx.Response:
    """Return a response, and fail if it is an error."""
    assert answer.is_success, f"{answer.request.method} {answer.url}: {answer.text}"
    return answer


def namespaced(resource: str, namespace: str, name: str = "") -> str:
    """Return the path of a namespaced resource such as `pods` or `apps/v1/deployments`."""
    group, _, plural = resource.rpartition("/")
    root = f"/apis/{group}" if group else "/api/v1"
    return f"{root}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")
