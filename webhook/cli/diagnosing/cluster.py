"""
A cluster, looked at step by step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.diagnosing.finding import Finding, doubt, fine, unknown, wrong
from webhook.cli.diagnosing.registration import CONFIGURATIONS, OURS, Hook, hooks_of
from webhook.cli.diagnosing.replicas import look_at_bundle, look_at_replicas
from webhook.cli.diagnosing.selectors import Labels, obstacle
from webhook.config import ConfigurationError, parse
from webhook.core import Outcome
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from webhook.config import PolicySettings
    from webhook.core import MirrorMap
    from webhook.kube.reading import Reader

__all__ = ["Cluster", "look_at_cluster", "look_at_namespace", "read_cluster"]

SKEW: Final = 30.0
RULES: Final = "rules.yaml"
OPT_IN: Final = "mirrorhook.io/rewrite"
# What the Pod Security Standard "restricted" asks for, and a quota may.
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
SMALL: Final = {"cpu": "1m", "memory": "1Mi"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """
    What is known of us in a cluster.

    Attributes:
        hooks: The webhooks.
        policies: The policies by the namespace of their release, and their name.
    """

    hooks: tuple[Hook, ...]
    policies: Mapping[tuple[str, str], PolicySettings]

    def mirrors(self, hook: Hook) -> MirrorMap | None:
        """
        Return the rules that a webhook decides by, where they are known.
        """
        settings = self.policies.get((hook.namespace, hook.policy))
        return settings.mirrors if settings else None

    def selecting(self, labels: Labels) -> list[Hook]:
        """
        Return the webhooks that are asked about the Pods of a namespace.
        """
        return [hook for hook in self.hooks if not obstacle(hook.namespaces, labels)]


def look_at_cluster(reader: Reader, now: datetime) -> Iterator[Finding]:
    """
    Look at everything but a namespace.
    """
    version = reader.get("/version") or {}
    yield fine("API server", f"{reader.address} answers: {version.get('gitVersion')}")
    skew = reader.skew()
    if abs(skew) > SKEW:
        yield doubt(
            "clock",
            f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the "
            "API server; a certificate that is just made may not be valid yet",
            "set the clocks by NTP, here and on the nodes",
        )
    else:
        yield fine("clock", "this machine and the API server agree on the time")
    hooks = read_hooks(reader)
    if not hooks:
        yield wrong(
            "webhook",
            "the API server knows of no webhook of mirrorhook, so nothing is rewritten",
            "helm install mirrorhook charts/mirrorhook --namespace mirrorhook "
            "--create-namespace --values values.yaml",
        )
        return
    for hook in hooks:
        policy = "admits Pods as they are" if hook.ignores else "refuses Pods"
        yield fine("webhook", f"{hook.name} is registered; it {policy} where it fails")
        yield look_at_bundle(hook, now)
    for hook in {(hook.namespace, hook.service): hook for hook in hooks}.values():
        yield from look_at_replicas(reader, hook)
    for namespace in sorted({hook.namespace for hook in hooks}):
        yield from look_at_rules(reader, namespace)


def read_hooks(reader: Reader) -> tuple[Hook, ...]:
    """
    Return our webhooks.
    """
    found = reader.list(CONFIGURATIONS, OURS)
    return tuple(hook for configuration in found for hook in hooks_of(configuration))


def read_rules(reader: Reader, namespace: str) -> Iterator[tuple[str, str]]:
    """
    Yield the name and the text of the rules of the releases in a namespace.
    """
    for each in reader.list(f"/api/v1/namespaces/{namespace}/configmaps", OURS):
        text = (each.get("data") or {}).get(RULES)
        if text is not None:
            yield each["metadata"]["name"], text


def look_at_rules(reader: Reader, namespace: str) -> Iterator[Finding]:
    """
    Say how the rules of a release stand.
    """
    found = dict(read_rules(reader, namespace))
    if not found:
        yield unknown("rules", f"there is no ConfigMap with rules in namespace {namespace}")
    for name, text in found.items():
        try:
            configuration = parse(text.encode(), f"{namespace}/{name}")
        except ConfigurationError as error:
            yield wrong(
                "rules",
                f"those in ConfigMap {namespace}/{name} are wrong: {error}",
                "put them right in the values, and helm upgrade",
            )
            continue
        for policy, settings in configuration.policies.items():
            count = len(settings.mirrors.rules)
            if count:
                yield fine("rules", f"policy {policy} has {count}")
            else:
                yield wrong(
                    "rules",
                    f"policy {policy} has none, so it changes nothing",
                    "give rules or profiles in the values, and helm upgrade",
                )


def read_cluster(reader: Reader) -> Cluster:
    """
    Return what is known of us in a cluster; rules that are wrong are left out.
    """
    hooks = read_hooks(reader)
    policies = {}
    for namespace in {hook.namespace for hook in hooks}:
        for name, text in read_rules(reader, namespace):
            try:
                configuration = parse(text.encode(), f"{namespace}/{name}")
            except ConfigurationError:
                continue
            for policy, settings in configuration.policies.items():
                policies[namespace, policy] = settings
    return Cluster(hooks, policies)


def look_at_namespace(
    reader: Reader, cluster: Cluster, name: str, image: str | None
) -> Iterator[Finding]:
    """
    Say whether the Pods of a namespace are rewritten, and try one in a dry run.

    Args:
        reader: The cluster.
        cluster: What is known of us in it.
        name: Name of the namespace.
        image: The image to try; without it one that a rule matches.
    """
    namespace = reader.get(f"/api/v1/namespaces/{name}")
    if namespace is None:
        yield wrong("namespace", f"there is no namespace {name}", "kubectl get namespaces")
        return
    labels = namespace["metadata"].get("labels") or {}
    selecting = cluster.selecting(labels)
    if not selecting:
        reasons = {obstacle(hook.namespaces, labels) for hook in cluster.hooks}
        yield wrong(
            "namespace",
            f"no webhook is asked about the Pods of {name}: {'; '.join(sorted(reasons))}",
            f"kubectl label namespace {name} {OPT_IN}=enabled --overwrite",
        )
        return
    for hook in selecting:
        yield fine("namespace", f"{hook.name} is asked about the Pods of {name}")
    yield try_one(reader, cluster, selecting[0], name, image)


def try_one(
    reader: Reader, cluster: Cluster, hook: Hook, namespace: str, image: str | None
) -> Finding:
    """
    Create a Pod in a dry run, and say what becomes of its image.
    """
    mirrors = cluster.mirrors(hook)
    image = image or (sample(mirrors) if mirrors else None)
    if mirrors is None or image is None:
        return unknown("dry run", "no rule is known that rewrites", "give --image IMAGE")
    expected = mirrors.decide(image)
    try:
        created = reader.try_pod(namespace, pod_of(image))
    except ClusterError as error:
        return wrong(
            "dry run",
            str(error),
            f"see the replicas above; in an emergency: kubectl delete "
            f"mutatingwebhookconfiguration {hook.configuration}",
        )
    found = created["spec"]["containers"][0]["image"]
    if found == expected.image and expected.candidate:
        return fine("dry run", f"{image} became {found}: {expected.reason}")
    if found == expected.image:
        return doubt("dry run", f"{image} stayed as it is: {expected.reason}")
    if found == image:
        return wrong(
            "dry run",
            f"{image} came back as it was, though it should have become {expected.image}",
            "the webhook was not reached, or answered too late: kubectl get --raw /metrics "
            "| grep -E 'webhook_(fail_open|rejection)_count.*mirrorhook'",
        )
    return doubt("dry run", f"{image} became {found}, and not {expected.image}")


def sample(mirrors: MirrorMap) -> str | None:
    """
    Return an image that a rule rewrites.
    """
    for rule in mirrors.rules:
        prefix = str(rule.match or "").replace("*.", "x.").replace("*", "registry.example")
        for image in (f"{prefix}/mirrorhook/doctor", f"{prefix}/doctor"):
            if mirrors.decide(image).outcome is Outcome.REWRITTEN:
                return image
    return None


def pod_of(image: str) -> dict[str, Any]:
    """
    Return a Pod that most namespaces admit.
    """
    container = {
        "name": "doctor",
        "image": image,
        "resources": {"requests": SMALL, "limits": SMALL},
        "securityContext": RESTRICTED,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "mirrorhook-doctor-"},
        "spec": {"containers": [container], "automountServiceAccountToken": False},
    }
