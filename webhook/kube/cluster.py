"""What we do in a cluster: keep a Secret, and say whom to trust.

Whom the API server trusts stands in a MutatingWebhookConfiguration. The verbs are
few, so that the permissions can be: ``get``, ``watch`` and ``patch`` on both objects,
each by name, and ``create`` on Secrets, for which no name can be given, and which can
be left out where somebody else makes the Secret.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from webhook.kube.errors import NotFoundError, RefusedError, UnavailableError
from webhook.kube.objects import Registration, Secret
from webhook.kube.waiting import in_thread
from webhook.kube.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from webhook.kube.connection import Connection

__all__ = ["Cluster"]

CALL_SECONDS: Final = 30.0
FIELD_MANAGER: Final = "mirrorhook"
REGISTRATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Cluster:
    """A cluster, by its API server.

    Args:
        connection: The way to it.
        limit: Seconds that a call may take in all.
    """

    def __init__(self, connection: Connection, *, limit: float = CALL_SECONDS) -> None:
        self._connection = connection
        self._limit = limit

    async def secret(self, namespace: str, name: str) -> Secret | None:
        """Return a Secret as it is now, or None where there is none.

        Raises:
            ClusterError: It cannot be read.
        """
        action = f"get Secret {namespace}/{name}"
        try:
            answer = await self._call(action, "GET", f"{secrets(namespace)}/{name}")
        except NotFoundError:
            return None
        return secret_of(answer)

    async def create_secret(
        self, namespace: str, name: str, kind: str, data: Mapping[str, bytes]
    ) -> Secret:
        """Make a Secret.

        Args:
            namespace: Its namespace.
            name: Its name.
            kind: Its type.
            data: Its contents by key.

        Raises:
            ConflictError: It is there already.
            RefusedError: There is no such namespace.
            ClusterError: It cannot be made.
        """
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            # No label that says who manages it: Helm would refuse to take it back.
            "metadata": {"name": name},
            "type": kind,
            "data": encoded(data),
        }
        action = f"create Secret {namespace}/{name}"
        try:
            answer = await self._call(action, "POST", secrets(namespace), body)
        except NotFoundError as error:
            raise RefusedError(str(error)) from None
        return secret_of(answer)

    async def patch_secret(self, secret: Secret, data: Mapping[str, bytes]) -> Secret:
        """Change keys of a Secret, if it still is as it was read.

        Args:
            secret: The Secret, as read.
            data: New contents by key; other keys stay.

        Raises:
            ConflictError: It has been changed meanwhile.
            NotFoundError: It has been deleted meanwhile.
            ClusterError: It cannot be changed.
        """
        body = {"metadata": {"resourceVersion": secret.version}, "data": encoded(data)}
        action = f"patch Secret {secret.namespace}/{secret.name}"
        path = f"{secrets(secret.namespace)}/{secret.name}"
        return secret_of(await self._call(action, "PATCH", path, body))

    async def registration(self, name: str) -> Registration | None:
        """Return a MutatingWebhookConfiguration as it is now, or None if there is none.

        Raises:
            ClusterError: It cannot be read.
        """
        action = f"get MutatingWebhookConfiguration {name}"
        try:
            answer = await self._call(action, "GET", f"{REGISTRATIONS}/{name}")
        except NotFoundError:
            return None
        return registration_of(answer)

    async def patch_bundles(self, registration: Registration, bundle: bytes) -> Registration:
        """Give all webhooks of a configuration the same CA bundle, and change nothing else.

        Args:
            registration: The configuration, as read.
            bundle: Certificates in PEM.

        Raises:
            ConflictError: It has been changed meanwhile.
            NotFoundError: It has been deleted meanwhile.
            ClusterError: It cannot be changed.
        """
        encoded_bundle = base64.b64encode(bundle).decode()
        body = {
            "metadata": {"resourceVersion": registration.version},
            "webhooks": [
                {"name": name, "clientConfig": {"caBundle": encoded_bundle}}
                for name in registration.bundles
            ],
        }
        action = f"patch MutatingWebhookConfiguration {registration.name}"
        path = f"{REGISTRATIONS}/{registration.name}"
        return registration_of(await self._call(action, "PATCH", path, body))

    def watch_secret(self, namespace: str, name: str, changed: Callable[[], None]) -> Watch:
        """Watch a Secret; for use in a ``with`` statement.

        Args:
            namespace: Its namespace.
            name: Its name.
            changed: Is called in the running loop when it may have changed.
        """
        action = f"watch Secret {namespace}/{name}"
        return Watch(self._connection, action, secrets(namespace), name, changed)

    def watch_registration(self, name: str, changed: Callable[[], None]) -> Watch:
        """Watch a MutatingWebhookConfiguration; for use in a ``with`` statement.

        Args:
            name: Its name.
            changed: Is called in the running loop when it may have changed.
        """
        action = f"watch MutatingWebhookConfiguration {name}"
        return Watch(self._connection, action, REGISTRATIONS, name, changed)

    async def _call(
        self, action: str, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        query = None if body is None else {"fieldManager": FIELD_MANAGER}
        try:
            return await in_thread(
                lambda: self._connection.call(action, method, path, query=query, body=body),
                limit=self._limit,
            )
        except TimeoutError:
            raise UnavailableError(
                f"cannot {action}: no whole answer within {self._limit:g} seconds"
            ) from None


def secrets(namespace: str) -> str:
    """Return the path of the Secrets of a namespace."""
    return f"/api/v1/namespaces/{namespace}/secrets"


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    """Return the contents of a Secret as they are sent."""
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


def secret_of(answer: Mapping[str, Any]) -> Secret:
    """Return a Secret from its JSON."""
    metadata = answer["metadata"]
    data = answer.get("data") or {}
    return Secret(
        namespace=metadata["namespace"],
        name=metadata["name"],
        type=answer.get("type", ""),
        data={key: base64.b64decode(value or "") for key, value in data.items()},
        version=metadata["resourceVersion"],
    )


def registration_of(answer: Mapping[str, Any]) -> Registration:
    """Return a MutatingWebhookConfiguration from its JSON."""
    metadata = answer["metadata"]
    return Registration(
        name=metadata["name"],
        bundles={
            webhook["name"]: base64.b64decode(webhook["clientConfig"].get("caBundle") or "")
            for webhook in answer.get("webhooks") or ()
        },
        version=metadata["resourceVersion"],
    )
