"""The objects of the cluster that the webhook uses, as values."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELD_MANAGER", "Endpoint", "Secret", "WebhookConfiguration", "WebhookSelection"]

FIELD_MANAGER: Final = "mirrorhook"
CA_ANNOTATION: Final = "mirrorhook.io/ca"
EXTERNAL: Final = "external"


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret.

    Attributes:
        type: Its type, which cannot be changed.
        data: Its contents by key, decoded.
        version: Its resource version when it was read.
    """

    namespace: str
    name: str
    type: str
    data: Mapping[str, bytes] = field(repr=False)
    version: str

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Secret:
        """Return a Secret from its JSON."""
        metadata = content["metadata"]
        data = content.get("data") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            type=content.get("type", ""),
            data={key: base64.b64decode(value or "") for key, value in data.items()},
            version=metadata["resourceVersion"],
        )


@dataclass(frozen=True, slots=True)
class WebhookConfiguration:
    """A MutatingWebhookConfiguration.

    Attributes:
        ca_bundles: The CA bundle of each of its webhooks, by the webhook's name.
        version: Its resource version when it was read.
        field_managers: Its field managers, each with the fields that it owns.
        has_external_ca: Whether an annotation says that something else sets the CA bundles.
    """

    name: str
    ca_bundles: Mapping[str, bytes]
    version: str
    field_managers: tuple[Mapping[str, Any], ...] = ()
    has_external_ca: bool = False

    @property
    def other_managers(self) -> tuple[Mapping[str, Any], ...]:
        """The field managers except mirrorhook."""
        return tuple(each for each in self.field_managers if each.get("manager") != FIELD_MANAGER)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WebhookConfiguration:
        """Return a MutatingWebhookConfiguration from its JSON."""
        metadata = content["metadata"]
        return cls(
            name=metadata["name"],
            ca_bundles={
                webhook["name"]: base64.b64decode(webhook["clientConfig"].get("caBundle") or "")
                for webhook in content.get("webhooks") or ()
            },
            version=metadata["resourceVersion"],
            field_managers=tuple(metadata.get("managedFields") or ()),
            has_external_ca=(metadata.get("annotations") or {}).get(CA_ANNOTATION) == EXTERNAL,
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Pod behind a Service, ready or not.

    Attributes:
        pod: Its name; empty if the EndpointSlice names none.
        address: Its IP address.
        port: The number of the port that was asked for by name.
    """

    pod: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class WebhookSelection:
    """For which Pods the API server calls a webhook.

    Attributes:
        name: Name of the webhook.
        namespaces: Its namespaceSelector.
        pods: Its objectSelector.
        conditions: The names of its matchConditions.
        ignores_failure: Whether Pods are admitted unchanged if it is not reached.
    """

    name: str
    namespaces: Mapping[str, Any]
    pods: Mapping[str, Any]
    conditions: tuple[str, ...]
    ignores_failure: bool

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> WebhookSelection:
        """Return the selection of one webhook of a configuration, from its JSON."""
        return cls(
            name=content["name"],
            namespaces=content.get("namespaceSelector") or {},
            pods=content.get("objectSelector") or {},
            conditions=tuple(each["name"] for each in content.get("matchConditions") or ()),
            ignores_failure=content.get("failurePolicy") == "Ignore",
        )
