"""The checks of a cluster and of one namespace, in their order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.doctor.installation import ADD_A_RULE, read_hooks, read_rules
from webhook.cli.doctor.policies import NO_POLICIES, Bound, look_at_policies, read_policies
from webhook.cli.doctor.report import Finding, doubt, fine, unknown, wrong
from webhook.cli.doctor.webhooks import look_at_bundle, look_at_replicas
from webhook.config import ConfigurationError, Mode
from webhook.core import Outcome
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from webhook.cli.doctor.installation import Cluster, Rewriter
    from webhook.config import PolicySettings
    from webhook.core import MirrorMap
    from webhook.kube.reading import Reader

__all__ = ["look_at_cluster", "look_at_namespace"]

SKEW: Final = 30.0


def look_at_cluster(reader: Reader, now: datetime) -> Iterator[Finding]:
    """Look at everything but a namespace."""
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
    hooks, policies = read_hooks(reader), read_policies(reader)
    if policies.problem and not hooks:
        yield unknown("policy", f"there is no webhook, and {policies.problem}")
        return
    if not hooks and not policies.any:
        yield wrong(
            "webhook",
            "the API server knows of no webhook and of no policy of mirrorhook, so nothing "
            "is rewritten",
            "helm install mirrorhook charts/mirrorhook --namespace mirrorhook "
            "--create-namespace --values values.yaml",
        )
        if not policies.version:
            yield doubt("policy", NO_POLICIES.format(version.get("gitVersion")))
        return
    yield from look_at_policies(policies)
    for hook in hooks:
        policy = "admits Pods as they are" if hook.ignores else "refuses Pods"
        yield fine("webhook", f"{hook.name} is registered; it {policy} where it fails")
        yield look_at_bundle(hook, now)
    for hook in {(hook.namespace, hook.service): hook for hook in hooks}.values():
        yield from look_at_replicas(reader, hook)
    for namespace in sorted({hook.namespace for hook in hooks}):
        yield from look_at_rules(reader, namespace)


def look_at_rules(reader: Reader, namespace: str) -> Iterator[Finding]:
    """Say how the rules of a release stand."""
    found = dict(read_rules(reader, namespace))
    if not found:
        yield unknown("rules", f"there is no ConfigMap with rules in namespace {namespace}")
    for name, configuration in found.items():
        if isinstance(configuration, ConfigurationError):
            problems = "; ".join(problem.message for problem in configuration.problems)
            yield wrong(
                "rules",
                f"those in ConfigMap {namespace}/{name} are wrong: {problems}",
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


# What the Pod Security Standard "restricted" asks for, and a quota may.
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}

UNREACHED: Final = (
    "the webhook was not reached, or answered too late: kubectl get --raw /metrics "
    "| grep -E 'webhook_(fail_open|rejection)_count.*mirrorhook'"
)

UNEVALUATED: Final = (
    "the policy was not evaluated, or to no end; a new one takes a second: kubectl get "
    "--raw /metrics | grep mutating_admission_policy_check_total"
)

VALIDATING: Final = re.compile(r"ValidatingAdmissionPolicy '([^']+)'")

SMALL: Final = {"cpu": "1m", "memory": "1Mi"}


def look_at_namespace(
    reader: Reader, cluster: Cluster, name: str, image: str | None
) -> Iterator[Finding]:
    """Say whether the Pods of a namespace are rewritten, and try one in a dry run.

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
    if not cluster.rewriters:
        return  # which was said of the cluster
    labels = namespace["metadata"].get("labels") or {}
    selecting = cluster.selecting(labels)
    if not selecting:
        yield cluster.unasked(name, labels)
        return
    for each in selecting:
        yield fine("namespace", f"{each.name} is asked about the Pods of {name}")
    yield try_one(reader, cluster, selecting[0], name, image)


def try_one(
    reader: Reader, cluster: Cluster, rewriter: Rewriter, namespace: str, image: str | None
) -> Finding:
    """Create a Pod in a dry run, and say what becomes of its image."""
    settings = cluster.settings(rewriter)
    image = image or (sample(settings.mirrors) if settings else None)
    if settings is None or image is None:
        return unknown("dry run", "no rule is known that rewrites", "give --image IMAGE")
    try:
        created = reader.try_pod(namespace, pod_of(image))
    except ClusterError as error:
        return wrong("dry run", str(error), mend_of_refusal(str(error), rewriter))
    found = created["spec"]["containers"][0]["image"]
    return compared(image, found, settings, rewriter)


def mend_of_refusal(reason: str, rewriter: Rewriter) -> str:
    """Return what to do where a Pod was refused."""
    enforcing = VALIDATING.search(reason)
    if enforcing:
        emergency = f"kubectl delete validatingadmissionpolicy {enforcing[1]}"
        return f"see above why it was not rewritten before; in an emergency: {emergency}"
    where = "policy" if isinstance(rewriter, Bound) else "replicas"
    return f"see the {where} above; in an emergency: kubectl delete {rewriter.resource}"


def compared(image: str, found: str, settings: PolicySettings, rewriter: Rewriter) -> Finding:
    """Say whether an image became what the rules say.

    Args:
        image: The image that was asked for.
        found: What the API server would store.
        settings: The rules.
        rewriter: The webhook or policy that was to be asked.
    """
    expected = settings.mirrors.decide(image)
    stayed = f"{image} stayed as it is"
    for candidate in expected.candidates:
        if found == str(candidate):
            return fine("dry run", f"{image} became {found}: {candidate.reason}")
    if found == expected.image:
        mend = ADD_A_RULE if expected.outcome is Outcome.UNMATCHED else ""
        return doubt("dry run", f"{stayed}: {expected.reason}", mend)
    if found == image and settings.mode is Mode.OBSERVE:
        return doubt("dry run", f"{image} stayed as it is: policy {rewriter.policy} only observes")
    if found == image and settings.availability:
        return doubt(
            "dry run",
            f"{stayed}: mirrors are asked first, and none may have it",
            "give --image of one that a mirror has; mirrorhook explain --probe asks them",
        )
    if found == image:
        return wrong(
            "dry run",
            f"{image} came back as it was, though it should have become {expected.image}",
            UNEVALUATED if isinstance(rewriter, Bound) else UNREACHED,
        )
    return doubt("dry run", f"{image} became {found}, and not {expected.image}")


def sample(mirrors: MirrorMap) -> str | None:
    """Return an image that a rule rewrites."""
    for rule in mirrors.rules:
        prefix = str(rule.match or "").replace("*.", "x.").replace("*", "registry.example")
        for image in (f"{prefix}/mirrorhook/doctor", f"{prefix}/doctor"):
            if mirrors.decide(image).outcome is Outcome.REWRITTEN:
                return image
    return None


def pod_of(image: str) -> dict[str, Any]:
    """Return a Pod that most namespaces admit."""
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
