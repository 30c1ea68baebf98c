"""Webhook entries of mirrorhook in a cluster, and the replicas behind them."""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from webhook.cli.doctor.report import Finding, doubt, fine, unknown, wrong
from webhook.kube import ClusterError
from webhook.tls import CertificateError
from webhook.tls.parsing import expiry_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.kube.reading import Reader

__all__ = ["CONFIGURATIONS", "OURS", "Hook", "hooks_of", "look_at_bundle", "look_at_replicas"]

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


PORTS: Final = {"webhook": 8443, "operations": 8080}

OK: Final = 200

SOON: Final = timedelta(days=2)


def look_at_replicas(reader: Reader, hook: Hook) -> Iterator[Finding]:
    """Say how the replicas of a webhook stand."""
    path = f"/api/v1/namespaces/{hook.namespace}"
    service = reader.get(f"{path}/services/{hook.service}")
    if service is None:
        yield wrong(
            "Service",
            f"there is no Service {hook.namespace}/{hook.service}, which {hook.name} asks",
            f"helm upgrade --install {hook.service} charts/mirrorhook "
            f"--namespace {hook.namespace} --reuse-values",
        )
        return
    selector = ",".join(
        f"{key}={value}" for key, value in (service["spec"].get("selector") or {}).items()
    )
    pods = reader.list(f"{path}/pods", selector)
    ready = [pod for pod in pods if is_ready(pod)]
    if not pods:
        yield wrong(
            "replicas",
            f"no Pod runs behind Service {hook.namespace}/{hook.service}",
            f"kubectl --namespace {hook.namespace} describe replicaset -l {selector}",
        )
    for pod in pods:
        if pod not in ready:
            yield look_at_unready(reader, pod)
    if ready:
        yield fine("replicas", f"{len(ready)} of {len(pods)} are ready")
    for pod in ready:
        yield look_at_certificate(reader, hook, pod)
        yield from look_at_rules_in_use(reader, pod)


def is_ready(pod: dict[str, Any]) -> bool:
    """Say whether a Pod gets requests."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def look_at_unready(reader: Reader, pod: dict[str, Any]) -> Finding:
    """Say why a replica is not ready."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for status in pod.get("status", {}).get("containerStatuses") or ():
        waiting = status.get("state", {}).get("waiting")
        if waiting:
            reason = waiting.get("reason", "waiting")
            pulling = "Image" in reason
            return wrong(
                "replica",
                f"{name} does not start: {reason}: {waiting.get('message', '')}".rstrip(": "),
                "set image.registry, or global.imageRegistry, to where the image can be had"
                if pulling
                else f"kubectl --namespace {namespace} logs {name} --previous",
            )
    try:
        status, text = reader.page(namespace, name, port_of(pod, "operations"), "/readyz")
    except ClusterError as error:
        status, text = 0, str(error)
    if status and status != OK:
        text = "; ".join(text.splitlines())
    return wrong(
        "replica",
        f"{name} is not ready: {text or 'it has not been scheduled'}",
        f"kubectl --namespace {namespace} describe pod {name}; "
        f"kubectl --namespace {namespace} logs {name}",
    )


def port_of(pod: dict[str, Any], name: str) -> int:
    """Return the number of a named port of a replica."""
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return PORTS[name]


def look_at_bundle(hook: Hook, now: datetime) -> Finding:
    """Say what the API server trusts."""
    logs = f"kubectl --namespace {hook.namespace} logs -l app.kubernetes.io/name=mirrorhook"
    if not hook.bundle:
        return wrong(
            "trust",
            f"the API server trusts no certificate for {hook.name}: its caBundle is empty",
            f"see why nobody fills it in: {logs}",
        )
    try:
        expires = expiry_of(hook.bundle)
    except CertificateError as error:
        return wrong("trust", f"the caBundle of {hook.name} cannot be read: {error}", logs)
    if expires < now:
        return wrong("trust", f"the CA of {hook.name} expired on {stamp(expires)}", logs)
    return fine("trust", f"the API server trusts a CA until {stamp(expires)}")


def look_at_certificate(reader: Reader, hook: Hook, pod: dict[str, Any]) -> Finding:
    """Say whether the API server trusts what a replica serves with."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    port = port_of(pod, "webhook")
    try:
        served = reader.certificate(namespace, name, port, hook.host, hook.bundle)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return wrong(
            "certificate",
            f"the API server does not trust the certificate of {name}: {reason}",
            f"kubectl --namespace {namespace} delete pod {name}, which gets another one; "
            "with certificates.mode existing, give the CA of the certificate as well",
        )
    except (ClusterError, OSError) as error:
        return unknown("certificate", f"what {name} serves with was not seen: {error}")
    expires = expiry_of(served)
    what = f"{name} serves with a certificate that is trusted, until {stamp(expires)}"
    if expires < datetime.now(UTC) + SOON:
        return doubt("certificate", what)
    return fine("certificate", what)


def look_at_rules_in_use(reader: Reader, pod: dict[str, Any]) -> Iterator[Finding]:
    """Say whether a replica could load the rules that it was given last."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    try:
        _, text = reader.page(namespace, name, port_of(pod, "operations"), "/metrics")
    except ClusterError:
        return
    if "mirrorhook_config_last_reload_successful 0" in text:
        yield wrong(
            "rules in use",
            f"{name} could not load the rules that it was given last, and uses older ones",
            f"kubectl --namespace {namespace} logs {name} | grep refused",
        )


def stamp(moment: datetime) -> str:
    """Return a moment as people read it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
