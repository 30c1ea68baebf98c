"""The webhook entries of mirrorhook in a cluster, and the replicas behind them."""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from webhook.cli.doctor.report import Finding, notice, ok, unknown, wrong
from webhook.kube import ClusterError
from webhook.tls import CertificateError
from webhook.tls.certificate import find_last_expiry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.kube.client import KubeClient

__all__ = [
    "CONFIGURATIONS",
    "OUR_LABEL",
    "WebhookEntry",
    "check_replicas",
    "check_trust",
    "read_webhooks",
]

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
OUR_LABEL: Final = "app.kubernetes.io/name=mirrorhook"
PATH: Final = "/mutate"
RULES_CONDITION: Final = "mirrorhook.io/has-images-of-the-rules"
PORTS: Final = {"webhook": 8443, "operations": 8080}
HTTP_OK: Final = 200
SOON: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class WebhookEntry:
    """One webhook of a MutatingWebhookConfiguration.

    Attributes:
        configuration: Name of the configuration.
        policy: The policy that its path names.
        namespace: Namespace of its Service.
        ca_bundle: The certificates that the API server trusts, in PEM.
        ignores_failure: Whether Pods are admitted unchanged if the webhook is not reached.
        is_reinvoked: Whether it is called again if later webhooks change a Pod.
        skips_by_rules: Whether it is called only for Pods with images of the rules.
        created: When the configuration was created, in RFC 3339.
    """

    configuration: str
    name: str
    policy: str
    namespace: str
    service: str
    ca_bundle: bytes = field(repr=False)
    namespace_selector: Mapping[str, Any]
    object_selector: Mapping[str, Any]
    ignores_failure: bool
    is_reinvoked: bool
    skips_by_rules: bool
    created: str

    noun: ClassVar[str] = "the webhook"

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
                ca_bundle=_decode_bundle(webhook["clientConfig"].get("caBundle") or ""),
                namespace_selector=webhook.get("namespaceSelector") or {},
                object_selector=webhook.get("objectSelector") or {},
                ignores_failure=webhook.get("failurePolicy") == "Ignore",
                is_reinvoked=webhook.get("reinvocationPolicy") == "IfNeeded",
                skips_by_rules=any(
                    each["name"] == RULES_CONDITION for each in webhook.get("matchConditions") or ()
                ),
                created=metadata.get("creationTimestamp") or "",
            )


def _decode_bundle(bundle: str) -> bytes:
    """Return a bundle in PEM; empty if it is not Base64."""
    try:
        return base64.b64decode(bundle, validate=True)
    except binascii.Error:
        return b""


def check_trust(entry: WebhookEntry, now: datetime) -> Finding:
    """Check the CA that the API server trusts."""
    logs = f"kubectl --namespace {entry.namespace} logs -l {OUR_LABEL}"
    if not entry.ca_bundle:
        return wrong(
            "trust",
            f"the API server trusts no certificate for {entry.name}: its caBundle is empty",
            f"find out why it was not filled in: {logs}",
        )
    try:
        expires = find_last_expiry(entry.ca_bundle)
    except CertificateError as error:
        return wrong("trust", f"the caBundle of {entry.name} cannot be read: {error}", logs)
    if expires < now:
        return wrong("trust", f"the CA of {entry.name} expired on {_format(expires)}", logs)
    return ok("trust", f"the CA that the API server trusts is valid until {_format(expires)}")


def check_replicas(reader: KubeClient, entry: WebhookEntry, now: datetime) -> Iterator[Finding]:
    """Check that the replicas of a webhook exist, are ready and are trusted."""
    path = f"/api/v1/namespaces/{entry.namespace}"
    service = reader.get(f"{path}/services/{entry.service}")
    if service is None:
        yield wrong(
            "Service",
            f"there is no Service {entry.namespace}/{entry.service}, which {entry.name} calls",
            f"helm upgrade --install {entry.service} charts/mirrorhook "
            f"--namespace {entry.namespace} --reuse-values",
        )
        return
    selector = ",".join(
        f"{key}={value}" for key, value in (service["spec"].get("selector") or {}).items()
    )
    pods = reader.list(f"{path}/pods", selector)
    ready = [pod for pod in pods if _is_ready(pod)]
    if not pods:
        yield wrong(
            "replicas",
            f"Service {entry.namespace}/{entry.service} has no Pods",
            f"kubectl --namespace {entry.namespace} describe replicaset -l {selector}",
        )
    for pod in pods:
        if pod not in ready:
            yield _explain_unready(reader, pod)
    if ready:
        yield ok("replicas", f"{len(ready)} of {len(pods)} are ready")
    for pod in ready:
        yield _check_certificate(reader, entry, pod, now)
        yield from _check_loaded_rules(reader, pod)


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _explain_unready(reader: KubeClient, pod: dict[str, Any]) -> Finding:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for status in pod.get("status", {}).get("containerStatuses") or ():
        waiting = status.get("state", {}).get("waiting")
        if waiting:
            reason = waiting.get("reason", "waiting")
            return wrong(
                "replica",
                f"{name} does not start: {reason}: {waiting.get('message', '')}".rstrip(": "),
                "set image.registry or global.imageRegistry to a registry that has the image"
                if "Image" in reason
                else f"kubectl --namespace {namespace} logs {name} --previous",
            )
    try:
        status, text = reader.get_pod_page(namespace, name, _port(pod, "operations"), "/readyz")
    except ClusterError as error:
        status, text = 0, str(error)
    if status and status != HTTP_OK:
        text = "; ".join(text.splitlines())
    return wrong(
        "replica",
        f"{name} is not ready: {text or 'it has not been scheduled'}",
        f"kubectl --namespace {namespace} describe pod {name}; "
        f"kubectl --namespace {namespace} logs {name}",
    )


def _port(pod: dict[str, Any], name: str) -> int:
    """Return the number of a named port of a replica."""
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return PORTS[name]


def _check_certificate(
    reader: KubeClient, entry: WebhookEntry, pod: dict[str, Any], now: datetime
) -> Finding:
    """Check that the API server trusts the certificate of a replica."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    port = _port(pod, "webhook")
    try:
        served = reader.get_pod_certificate(namespace, name, port, entry.host, entry.ca_bundle)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return wrong(
            "certificate",
            f"the API server does not trust the certificate of {name}: {reason}",
            f"kubectl --namespace {namespace} delete pod {name}, as the next Pod gets a new "
            "certificate; with certificates.mode: existing, set the CA of the certificate, too",
        )
    except (ClusterError, OSError) as error:
        return unknown("certificate", f"the certificate of {name} could not be read: {error}")
    expires = find_last_expiry(served)
    text = f"the certificate of {name} is trusted, and valid until {_format(expires)}"
    return notice("certificate", text) if expires < now + SOON else ok("certificate", text)


def _check_loaded_rules(reader: KubeClient, pod: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding if a replica could not load its latest rules."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    try:
        _, text = reader.get_pod_page(namespace, name, _port(pod, "operations"), "/metrics")
    except ClusterError:
        return
    if "mirrorhook_config_last_reload_successful 0" in text:
        yield wrong(
            "rules in use",
            f"{name} could not load its latest rules, and uses older ones",
            f"kubectl --namespace {namespace} logs {name} | grep refused",
        )


def _format(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
