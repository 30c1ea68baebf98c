"""Where the CA is kept, what is needed of the cluster for it, and how things stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from webhook.kube import Secret, WebhookConfiguration

__all__ = ["Cluster", "Log", "Place", "Standing", "Watch"]


@dataclass(frozen=True, slots=True)
class Place:
    """The objects of the cluster that the certificate depends on.

    Attributes:
        secret_namespace: Namespace of the Secret with the CA.
        secret_name: Name of that Secret.
        service_namespace: Namespace of the Service that the API server calls.
        service_name: Name of that Service.
        configuration: Name of the MutatingWebhookConfiguration that is to trust the CA.
    """

    secret_namespace: str
    secret_name: str
    service_namespace: str
    service_name: str
    configuration: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the Service; the API server asks for the first."""
        service = f"{self.service_name}.{self.service_namespace}"
        return f"{service}.svc", f"{service}.svc.cluster.local", service


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand with the certificate of this replica.

    Attributes:
        ready: Whether the API server trusts it, or knows no webhook that it would
            have to trust.
        reason: Why it is not ready, as the end of "the replica is not ready: …";
            empty when it is.
        problems: What goes wrong at the moment, in sentences. With some of them the
            replica is ready all the same, for as long as its certificate lasts.
        authority_expires_at: When the CA of the certificate expires.
    """

    ready: bool
    reason: str
    problems: tuple[str, ...] = ()
    authority_expires_at: datetime | None = None


class Watch(Protocol):
    """A watch on one object, from entering to leaving it."""

    problem: str

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Cluster(Protocol):
    """What is done in the cluster; see `webhook.kube.cluster.Cluster`."""

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        """Return a Secret, or None where there is none."""
        ...

    async def create_secret(
        self, namespace: str, name: str, kind: str, data: Mapping[str, bytes]
    ) -> Secret:
        """Make a Secret."""
        ...

    async def patch_secret(self, secret: Secret, data: Mapping[str, bytes]) -> Secret:
        """Change keys of a Secret, if it still is as it was read."""
        ...

    async def get_webhook_configuration(self, name: str) -> WebhookConfiguration | None:
        """Return a MutatingWebhookConfiguration, or None where there is none."""
        ...

    async def patch_ca_bundles(
        self, registration: WebhookConfiguration, bundle: bytes
    ) -> WebhookConfiguration:
        """Set the CA bundle of every webhook, if the configuration is as it was read."""
        ...

    def watch_secret(self, namespace: str, name: str, changed: Callable[[], None]) -> Watch:
        """Watch a Secret."""
        ...

    def watch_webhook_configuration(self, name: str, changed: Callable[[], None]) -> Watch:
        """Watch a MutatingWebhookConfiguration."""
        ...


class Log(Protocol):
    """Takes notes."""

    def info(self, event: str, **fields: Any) -> None:
        """Note something that is as it should be."""

    def warning(self, event: str, **fields: Any) -> None:
        """Note something that somebody should look at."""
