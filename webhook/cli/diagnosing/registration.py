"""What the API server knows of us: the webhooks of a MutatingWebhookConfiguration."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CONFIGURATIONS", "OURS", "Hook", "hooks_of"]

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
OURS: Final = "app.kubernetes.io/name=mirrorhook"
PATH: Final = "/mutate"


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of a configuration.

    Attributes:
        configuration: Name of the configuration.
        name: Its name.
        policy: The policy that it asks for.
        namespace: Namespace of its Service.
        service: Name of its Service.
        bundle: The certificates that are trusted, in PEM.
        namespaces: Selector of namespaces.
        objects: Selector of Pods.
        ignores: Whether a Pod is admitted as it is where the webhook is not reached.
        created: When the configuration was made, in RFC 3339.
    """

    configuration: str
    name: str
    policy: str
    namespace: str
    service: str
    bundle: bytes = field(repr=False)
    namespaces: Mapping[str, Any]
    objects: Mapping[str, Any]
    ignores: bool
    created: str

    said: ClassVar[str] = "the webhook"

    @property
    def resource(self) -> str:
        """What `kubectl` takes it out by."""
        return f"mutatingwebhookconfiguration {self.configuration}"

    @property
    def host(self) -> str:
        """The name that its certificate has to be for."""
        return f"{self.service}.{self.namespace}.svc"


def hooks_of(configuration: Mapping[str, Any]) -> list[Hook]:
    """Return the webhooks of a configuration that lead to a Service."""
    metadata = configuration["metadata"]
    return [
        Hook(
            configuration=metadata["name"],
            name=webhook["name"],
            policy=policy_of(service.get("path") or PATH),
            namespace=service["namespace"],
            service=service["name"],
            bundle=decoded(webhook["clientConfig"].get("caBundle") or ""),
            namespaces=webhook.get("namespaceSelector") or {},
            objects=webhook.get("objectSelector") or {},
            ignores=webhook.get("failurePolicy") == "Ignore",
            created=metadata.get("creationTimestamp") or "",
        )
        for webhook in configuration.get("webhooks") or ()
        if (service := webhook["clientConfig"].get("service"))
    ]


def policy_of(path: str) -> str:
    """Return the policy that a path asks for."""
    return path.removeprefix(PATH).strip("/") or "default"


def decoded(bundle: str) -> bytes:
    """Return a bundle in PEM; empty where it is none."""
    try:
        return base64.b64decode(bundle, validate=True)
    except binascii.Error:
        return b""
