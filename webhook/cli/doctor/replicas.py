"""The replicas of a webhook: that they exist, are reached, are trusted, and have the rules."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.doctor.release import FORCED, OUR_LABEL
from webhook.cli.doctor.report import (
    Finding,
    report_note,
    report_ok,
    report_unknown,
    report_wrong,
)
from webhook.cli.doctor.webhooks import format_moment
from webhook.kube import ClusterError
from webhook.tls import CertificateError
from webhook.tls.certificate import find_last_expiry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from webhook.cli.doctor.webhooks import WebhookEntry
    from webhook.kube.client import KubeClient

__all__ = ["check_replicas", "find_port", "list_replicas", "read_log"]

PORTS: Final = {"webhook": 8443, "operations": 8080}
HTTP_OK: Final = 200
SOON: Final = timedelta(days=2)
ATTEMPTS: Final = 3  # to forward a port, which now and then is reset
# Codes of OpenSSL for a certificate that is not valid now.
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
SELF: Final = "--certificate-secret="


@dataclass(frozen=True, slots=True)
class Workload:
    """The Deployment of a webhook.

    Attributes:
        replicas: How many Pods there should be.
        account: The service account of its Pods.
        manages_certificates: Whether its Pods sign their certificates themselves.
        secret: Secret with the certificate otherwise.
        selector: The labels by which it finds its Pods.
        problem: Why it cannot create Pods; empty if it can.
    """

    replicas: int
    account: str
    manages_certificates: bool
    secret: str
    selector: Mapping[str, str]
    problem: str


def check_replicas(reader: KubeClient, entry: WebhookEntry, now: datetime) -> Iterator[Finding]:
    """Check the CA that the API server trusts, and the replicas behind the Service."""
    workload = _read_workload(reader, entry)
    yield from _check_permissions(reader, entry, workload)
    yield _check_trust(reader, entry, workload, now)
    path = f"/api/v1/namespaces/{entry.namespace}"
    service = reader.get(f"{path}/services/{entry.service}")
    if service is None:
        yield report_wrong(
            "Service",
            f"there is no Service {entry.namespace}/{entry.service}, which {entry.name} calls",
            entry.upgrade,
        )
        return
    selector = service["spec"].get("selector") or {}
    pods = _list_pods(reader, entry.namespace, selector)
    ready = [pod for pod in pods if _is_ready(pod)]
    if not pods:
        yield _explain_no_pods(reader, entry, workload, selector)
    for pod in pods:
        if pod not in ready:
            yield _explain_unready(reader, entry, workload, pod)
    if ready:
        yield report_ok("replicas", f"{len(ready)} of {len(pods)} are ready")
        yield from _check_ports(service, entry, ready[0])
    for pod in ready:
        yield _check_certificate(reader, entry, workload, pod, now)
        yield from _check_loaded_rules(reader, pod)


def list_replicas(reader: KubeClient, entry: WebhookEntry) -> list[dict[str, Any]]:
    """Return the Pods behind the Service of a webhook.

    Raises:
        ClusterError: They cannot be read.
    """
    path = f"/api/v1/namespaces/{entry.namespace}/services/{entry.service}"
    service = reader.get(path) or {"spec": {}}
    return _list_pods(reader, entry.namespace, service["spec"].get("selector") or {})


def _list_pods(
    reader: KubeClient, namespace: str, selector: Mapping[str, str]
) -> list[dict[str, Any]]:
    if not selector:  # it would select every Pod
        return []
    chosen = ",".join(f"{key}={value}" for key, value in selector.items())
    pods = reader.list(f"/api/v1/namespaces/{namespace}/pods", chosen)
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def _read_workload(reader: KubeClient, entry: WebhookEntry) -> Workload | None:
    """Return the Deployment of a webhook; None if it does not exist, or may not be read."""
    path = f"/apis/apps/v1/namespaces/{entry.namespace}/deployments/{entry.service}"
    try:
        found = reader.get(path)
    except ClusterError:
        return None
    if found is None:
        return None
    spec = found["spec"]
    pod = spec["template"]["spec"]
    arguments = [each for one in pod["containers"] for each in one.get("args") or ()]
    secrets = [
        volume["secret"].get("secretName", "")
        for volume in pod.get("volumes") or ()
        if volume.get("name") == "tls" and "secret" in volume
    ]
    return Workload(
        replicas=spec.get("replicas", 1),
        account=pod.get("serviceAccountName") or "default",
        manages_certificates=any(each.startswith(SELF) for each in arguments),
        secret=next(iter(secrets), ""),
        selector=(spec.get("selector") or {}).get("matchLabels") or {},
        problem=_find_condition(found, "ReplicaFailure", "True"),
    )


def _find_condition(found: Mapping[str, Any], kind: str, status: str) -> str:
    """Return the message of a condition that an object has; empty if it has none."""
    for each in (found.get("status") or {}).get("conditions") or ():
        if each["type"] == kind and each["status"] == status:
            return each.get("message") or each.get("reason") or kind
    return ""


def _explain_no_pods(
    reader: KubeClient, entry: WebhookEntry, workload: Workload | None, selector: Mapping[str, str]
) -> Finding:
    """Return why the Service of a webhook has no Pods."""
    name = f"{entry.namespace}/{entry.service}"
    text = f"Service {name} has no Pods"
    if workload is not None and not workload.replicas:
        return report_wrong(
            "replicas",
            f"{text}: Deployment {name} is scaled to 0",
            f"kubectl --namespace {entry.namespace} scale deployment {entry.service} --replicas=2",
        )
    own = workload.selector if workload else selector
    others = _list_pods(reader, entry.namespace, own) if workload else []
    chosen = ",".join(f"{key}={value}" for key, value in selector.items())
    if workload and others:
        return report_wrong(
            "replicas",
            f"{text}: its selector {chosen or '(none)'} selects none of the {len(others)} Pods of "
            f"Deployment {name}",
            f"kubectl --namespace {entry.namespace} patch service {entry.service} --type json "
            f"--patch '{_make_patch('/spec/selector', workload.selector)}'",
        )
    labels = ",".join(f"{key}={value}" for key, value in own.items())
    return report_wrong(
        "replicas",
        text
        if workload is None
        else f"{text}: Deployment {name} creates none: {workload.problem}".rstrip(": "),
        f"kubectl --namespace {entry.namespace} describe replicaset -l {labels}",
    )


def _make_patch(path: str, value: Any) -> str:
    return json.dumps([{"op": "add", "path": path, "value": value}])


def _check_ports(
    service: Mapping[str, Any], entry: WebhookEntry, pod: dict[str, Any]
) -> Iterator[Finding]:
    """Report a Service whose port for reviews leads to no port of the replicas."""
    ports = service["spec"].get("ports") or ()
    reached = [each for each in ports if each.get("port") == entry.port]
    known = {
        value
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
        for value in (port.get("name"), port.get("containerPort"))
    }
    name = f"Service {entry.namespace}/{entry.service}"
    if ports and not reached:
        yield report_wrong(
            "Service",
            f"{name} has no port {entry.port}, which {entry.name} calls",
            f"{entry.upgrade} {FORCED}",
        )
    for each in reached:
        target = each.get("targetPort", each["port"])
        if known and target not in known:
            yield report_wrong(
                "Service",
                f"port {entry.port} of {name} leads to port {target}, which no replica has",
                f"{entry.upgrade} {FORCED}",
            )


def _check_trust(
    reader: KubeClient, entry: WebhookEntry, workload: Workload | None, now: datetime
) -> Finding:
    """Check the CA that the API server trusts."""
    try:
        expires = find_last_expiry(entry.ca_bundle) if entry.ca_bundle else None
    except CertificateError as error:
        problem = f"the caBundle of {entry.label} cannot be read: {error}"
    else:
        if expires and expires >= now:
            until = format_moment(expires)
            return report_ok("trust", f"the CA that the API server trusts is valid until {until}")
        problem = (
            f"the CA of {entry.label} expired on {format_moment(expires)}"
            if expires
            else f"the API server trusts no certificate for {entry.label}: its caBundle is empty"
        )
    cause, fix = _fix_trust(reader, entry, workload)
    return report_wrong("trust", f"{problem}{cause}", fix)


def _fix_trust(
    reader: KubeClient, entry: WebhookEntry, workload: Workload | None
) -> tuple[str, str]:
    """Return why the API server has a wrong CA, as messages go on, and how to set the right one."""
    logs = f"kubectl --namespace {entry.namespace} logs -l {OUR_LABEL}"
    if entry.certificate:
        namespace, _, name = entry.certificate.rpartition("/")
        return "", (
            f"kubectl --namespace {namespace} describe certificate {name}; the CA is set by the CA "
            "injector of cert-manager: see its log, too"
        )
    if workload is None:
        return "", f"find out why it was not set: {logs}"
    if not workload.manages_certificates:
        return "", (
            f"set certificates.existing.caBundle to the CA of Secret {entry.namespace}/"
            f"{workload.secret} in the values, and run helm upgrade"
        )
    if _may_set_trust(reader, entry, workload):
        return "", f"find out why the replicas do not set it: {logs}"
    return "; the replicas may not set it", f"see permissions above: {_regrant(entry)}"


def _check_permissions(
    reader: KubeClient, entry: WebhookEntry, workload: Workload | None
) -> Iterator[Finding]:
    """Report replicas that sign their certificates, but may not say so to the API server."""
    if workload and workload.manages_certificates and not _may_set_trust(reader, entry, workload):
        yield report_wrong(
            "permissions",
            f"service account {entry.namespace}/{workload.account} may not patch "
            f"MutatingWebhookConfiguration {entry.configuration}: the replicas cannot set the CA "
            "that the API server trusts",
            _regrant(entry),
        )


def _may_set_trust(reader: KubeClient, entry: WebhookEntry, workload: Workload) -> bool:
    """Return whether the replicas may set the CA; True if nobody can tell."""
    account = f"system:serviceaccount:{entry.namespace}:{workload.account}"
    resource = ("mutatingwebhookconfigurations", "admissionregistration.k8s.io")
    try:
        return reader.is_allowed(account, "patch", *resource, entry.configuration)
    except ClusterError:
        return True


def _regrant(entry: WebhookEntry) -> str:
    return (
        f"{entry.upgrade}, which writes their ClusterRole and its binding again {FORCED}; then "
        "they set their CA"
    )


def _is_ready(pod: dict[str, Any]) -> bool:
    return bool(_find_condition(pod, "Ready", "True"))


def _explain_unready(
    reader: KubeClient, entry: WebhookEntry, workload: Workload | None, pod: dict[str, Any]
) -> Finding:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for status in pod.get("status", {}).get("containerStatuses") or ():
        waiting = status.get("state", {}).get("waiting")
        if waiting:
            reason = waiting.get("reason", "waiting")
            if "Image" in reason:
                fix = "set image.registry or global.imageRegistry to a registry that has the image"
            else:
                fix = f"kubectl --namespace {namespace} logs {name} --previous"
            words = (reason, waiting.get("message", ""), _read_last_words(reader, pod))
            text = f"{name} does not start: {': '.join(filter(None, words))}"
            return report_wrong("replica", text, _fix_certificate(entry, workload, text) or fix)
    unscheduled = _find_condition(pod, "PodScheduled", "False")
    if unscheduled:
        fix = f"kubectl --namespace {namespace} describe pod {name}"
        return report_wrong("replica", f"{name} is not scheduled: {unscheduled}", fix)
    try:
        status, text = reader.get_pod_page(namespace, name, find_port(pod, "operations"), "/readyz")
    except ClusterError as error:
        status, text = 0, str(error)
    if status and status != HTTP_OK:
        text = "; ".join(text.splitlines())
    return report_wrong(
        "replica",
        f"{name} is not ready: {text}",
        _fix_certificate(entry, workload, text)
        or f"kubectl --namespace {namespace} describe pod {name}; "
        f"kubectl --namespace {namespace} logs {name}",
    )


def read_log(reader: KubeClient, pod: Mapping[str, Any], query: Mapping[str, str]) -> str:
    """Return the log of a replica, whatever other containers its Pod has.

    Args:
        reader: The cluster.
        pod: The Pod of the replica.
        query: Which part of the log.

    Raises:
        ClusterError: It cannot be read.
    """
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    container = next(
        (each["name"] for each in pod["spec"]["containers"] if _has_port(each, "webhook")), None
    )
    chosen = {"container": container} if container else {}
    return reader.get_text(f"/api/v1/namespaces/{namespace}/pods/{name}/log", {**query, **chosen})


def _has_port(container: Mapping[str, Any], name: str) -> bool:
    return any(port.get("name") == name for port in container.get("ports") or ())


def _read_last_words(reader: KubeClient, pod: Mapping[str, Any]) -> str:
    """Return the last line that a replica logged before it ended, if that can be read."""
    try:
        lines = read_log(reader, pod, {"previous": "true", "tailLines": "1"}).splitlines()
    except ClusterError:
        return ""
    return lines[-1] if lines else ""


def _fix_certificate(entry: WebhookEntry, workload: Workload | None, text: str) -> str:
    """Return how to replace a certificate that others made, if *text* is about it."""
    is_about = "tls.crt" in text or ("certificate" in text and "expired" in text)
    if workload is None or workload.manages_certificates or not is_about:
        return ""
    return _renew(entry, workload)


def _renew(entry: WebhookEntry, workload: Workload) -> str:
    """Return how to replace a certificate that the replicas do not make themselves."""
    if entry.certificate:
        namespace, _, name = entry.certificate.rpartition("/")
        return (
            f"kubectl --namespace {namespace} describe certificate {name} tells why cert-manager "
            f"does not renew it; cmctl renew {name} --namespace {namespace}"
        )
    return (
        f"put a new certificate into Secret {entry.namespace}/{workload.secret}: kubectl "
        f"--namespace {entry.namespace} create secret tls {workload.secret} --cert=FILE --key=FILE "
        "--dry-run=client -o yaml | kubectl apply -f -; the replicas load it without a restart"
    )


def find_port(pod: dict[str, Any], name: str) -> int:
    """Return the number of a named port of a replica."""
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == name:
                return int(port["containerPort"])
    return PORTS[name]


def _check_certificate(
    reader: KubeClient,
    entry: WebhookEntry,
    workload: Workload | None,
    pod: dict[str, Any],
    now: datetime,
) -> Finding:
    """Check that the API server trusts the certificate of a replica."""
    name = pod["metadata"]["name"]
    try:
        served = _read_certificate(reader, entry, pod)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        text = f"the API server does not trust the certificate of {name}: {reason}"
        code = getattr(error, "verify_code", 0)
        if code in {EXPIRED, NOT_YET_VALID} and workload and not workload.manages_certificates:
            return report_wrong("certificate", text, _renew(entry, workload))
        cause, fix = _fix_trust(reader, entry, workload)
        return report_wrong("certificate", f"{text}{cause}", fix)
    except (ClusterError, OSError) as error:
        text = f"the certificate of {name} could not be read: {error}"
        return report_unknown("certificate", text)
    expires = find_last_expiry(served)
    text = f"the certificate of {name} is trusted, and valid until {format_moment(expires)}"
    if expires >= now + SOON:
        return report_ok("certificate", text)
    fix = "" if workload is None or workload.manages_certificates else _renew(entry, workload)
    return report_note("certificate", text, fix)


def _read_certificate(reader: KubeClient, entry: WebhookEntry, pod: dict[str, Any]) -> bytes:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    port = find_port(pod, "webhook")
    for attempt in range(ATTEMPTS):
        try:
            return reader.get_pod_certificate(namespace, name, port, entry.host, entry.ca_bundle)
        except ssl.SSLError:
            raise
        except (ClusterError, OSError):
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def _check_loaded_rules(reader: KubeClient, pod: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding if a replica could not load its latest rules."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    try:
        _, text = reader.get_pod_page(namespace, name, find_port(pod, "operations"), "/metrics")
    except ClusterError:
        return
    if "mirrorhook_config_last_reload_successful 0" in text:
        yield report_wrong(
            "rules in use",
            f"{name} could not load its latest rules, and uses older ones",
            f"kubectl --namespace {namespace} logs {name} | grep refused",
        )
