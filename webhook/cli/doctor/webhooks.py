"""The webhook entries of mirrorhook in a cluster."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from webhook.cli.doctor.release import OUR_LABEL, InstalledRelease, find_release

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from webhook.kube.client import KubeClient

__all__ = [
    "CONFIGURATIONS",
    "WebhookEntry",
    "format_moment",
    "is_for_new_pods",
    "read_webhooks",
]

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
PATH: Final = "/mutate"
RULES_CONDITION: Final = "mirrorhook.io/has-images-of-the-rules"
CHART_CONDITIONS: Final = "mirrorhook.io/"
CERT_MANAGER: Final = "cert-manager.io/inject-ca-from"
HTTPS: Final = 443
DEFAULT_SECONDS: Final = 10  # of a webhook without timeoutSeconds


@dataclass(frozen=True, slots=True)
class WebhookEntry:
    """One webhook of a MutatingWebhookConfiguration.

    Attributes:
        configuration: Name of the configuration.
        policy: The policy that its path names.
        namespace: Namespace of its Service.
        service: Name of its Service.
        port: The port of the Service that the API server calls.
        ca_bundle: The certificates that the API server trusts, in PEM.
        ignores_failure: Whether Pods are admitted unchanged if the webhook is not reached.
        is_reinvoked: Whether it is called again if later webhooks change a Pod.
        is_for_new_pods: Whether the API server calls it for new Pods at all.
        skips_by_rules: Whether it is called only for Pods with images of the rules.
        conditions: Names of its match conditions that are not of the chart.
        seconds: How long the API server waits for it.
        created: When the configuration was created, in RFC 3339.
        release: The release that it belongs to.
        certificate: The Certificate of cert-manager whose CA is injected, if there is one.
    """

    configuration: str
    name: str
    policy: str
    namespace: str
    service: str
    port: int
    ca_bundle: bytes = field(repr=False)
    namespace_selector: Mapping[str, Any]
    object_selector: Mapping[str, Any]
    ignores_failure: bool
    is_reinvoked: bool
    is_for_new_pods: bool
    skips_by_rules: bool
    conditions: tuple[str, ...]
    seconds: int
    created: str
    release: InstalledRelease
    certificate: str = ""

    noun: ClassVar[str] = "the webhook"

    @property
    def label(self) -> str:
        """What messages call it: webhooks of several releases have the same name."""
        return f"{self.name} of {self.configuration}"

    @property
    def upgrade(self) -> str:
        """The command that writes its configuration again."""
        return self.release.upgrade

    @property
    def resource(self) -> str:
        """What `kubectl delete` removes it by."""
        return f"mutatingwebhookconfiguration {self.configuration}"

    @property
    def host(self) -> str:
        """The host name that its certificate must be valid for."""
        return f"{self.service}.{self.namespace}.svc"


def read_webhooks(reader: KubeClient) -> tuple[WebhookEntry, ...]:
    """Return the webhooks of mirrorhook's configurations that lead to a Service."""
    configurations = reader.list(CONFIGURATIONS, OUR_LABEL)
    return tuple(entry for each in configurations for entry in _parse_entries(each))


def _parse_entries(configuration: Mapping[str, Any]) -> Iterator[WebhookEntry]:
    metadata = configuration["metadata"]
    for webhook in configuration.get("webhooks") or ():
        service = webhook["clientConfig"].get("service")
        if service:
            path = service.get("path") or PATH
            yield WebhookEntry(
                configuration=metadata["name"],
                name=webhook["name"],
                policy=path.removeprefix(PATH).strip("/") or "default",
                namespace=service["namespace"],
                service=service["name"],
                port=service.get("port") or HTTPS,
                ca_bundle=_decode_bundle(webhook["clientConfig"].get("caBundle") or ""),
                namespace_selector=webhook.get("namespaceSelector") or {},
                object_selector=webhook.get("objectSelector") or {},
                ignores_failure=webhook.get("failurePolicy") == "Ignore",
                is_reinvoked=webhook.get("reinvocationPolicy") == "IfNeeded",
                is_for_new_pods=is_for_new_pods(webhook),
                skips_by_rules=any(
                    each["name"] == RULES_CONDITION for each in webhook.get("matchConditions") or ()
                ),
                conditions=tuple(
                    each["name"]
                    for each in webhook.get("matchConditions") or ()
                    if not each["name"].startswith(CHART_CONDITIONS)
                ),
                seconds=webhook.get("timeoutSeconds") or DEFAULT_SECONDS,
                created=metadata.get("creationTimestamp") or "",
                release=find_release(metadata),
                certificate=(metadata.get("annotations") or {}).get(CERT_MANAGER, ""),
            )


def is_for_new_pods(webhook: Mapping[str, Any]) -> bool:
    """Return whether the API server calls a webhook for new Pods."""
    return any(
        {"", "*"} & {*rule["apiGroups"]}
        and {"CREATE", "*"} & {*rule["operations"]}
        and {"pods", "*", "*/*"} & {*rule["resources"]}
        for rule in webhook.get("rules") or ()
    )


def _decode_bundle(bundle: str) -> bytes:
    """Return a bundle in PEM; empty if it is not Base64."""
    try:
        return base64.b64decode(bundle, validate=True)
    except binascii.Error:
        return b""


def format_moment(moment: datetime) -> str:
    """Return a time as messages write it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
