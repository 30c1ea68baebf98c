"""The checks of a cluster and of one namespace, in their order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.doctor.installation import ADD_A_RULE, read_config_maps
from webhook.cli.doctor.policies import (
    NO_POLICIES,
    BoundPolicy,
    check_policies,
    read_policies,
)
from webhook.cli.doctor.report import Finding, notice, ok, unknown, wrong
from webhook.cli.doctor.webhooks import (
    CONFIGURATIONS,
    OUR_LABEL,
    WebhookEntry,
    check_replicas,
    check_trust,
    read_webhooks,
)
from webhook.config import ConfigurationError, Mode
from webhook.core import Outcome
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from webhook.cli.doctor.installation import Installation, Rewriter
    from webhook.config import PolicySettings
    from webhook.core import MirrorMap
    from webhook.kube.client import KubeClient

__all__ = ["check_cluster", "check_namespace"]

MAX_SKEW: Final = 30.0  # seconds
SMALL: Final = {"cpu": "1m", "memory": "1Mi"}
# As the Pod Security Standard "restricted" requires.
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
UNREACHED: Final = (
    "find out whether the webhook was reached in time: kubectl get --raw /metrics "
    "| grep -E 'webhook_(fail_open|rejection)_count.*mirrorhook'"
)
UNEVALUATED: Final = (
    "find out whether the policy was evaluated, which takes a second if it is new: "
    "kubectl get --raw /metrics | grep mutating_admission_policy_check_total"
)
VALIDATING_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '([^']+)'")


def check_cluster(reader: KubeClient, now: datetime) -> Iterator[Finding]:
    """Check everything except a namespace; *now* is the time by this machine's clock."""
    version = reader.get("/version") or {}
    yield ok("API server", f"{reader.host} answers, version {version.get('gitVersion')}")
    yield _check_clock(reader.measure_clock_skew())
    webhooks, policies = read_webhooks(reader), read_policies(reader)
    if policies.problem and not webhooks:
        yield unknown("policy", f"there is no webhook, and {policies.problem}")
        return
    if not webhooks and not policies.any:
        yield wrong(
            "webhook",
            "mirrorhook is not installed: the API server has no webhook and no policy of it, so "
            "no Pod is rewritten",
            "helm install mirrorhook charts/mirrorhook --namespace mirrorhook "
            "--create-namespace --values values.yaml",
        )
        if not policies.version:
            yield notice("policy", NO_POLICIES.format(version.get("gitVersion")))
        return
    yield from check_policies(policies)
    for entry in webhooks:
        effect = "admitted unchanged" if entry.ignores_failure else "rejected"
        yield ok("webhook", f"{entry.name} is registered; if it fails, Pods are {effect}")
        yield check_trust(entry, now)
    yield from _check_order(reader, (*webhooks, *policies.bound))
    for entry in {(entry.namespace, entry.service): entry for entry in webhooks}.values():
        yield from check_replicas(reader, entry, now)
    for namespace in sorted({entry.namespace for entry in webhooks}):
        yield from _check_rules(reader, namespace)


def _check_clock(skew: float) -> Finding:
    """Check the clock; *skew* is by how many seconds this machine is ahead of the API server."""
    if abs(skew) <= MAX_SKEW:
        return ok("clock", "the clocks of this machine and the API server agree")
    return notice(
        "clock",
        f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the "
        "API server; a new certificate may not be valid yet",
        "synchronize the clocks by NTP, here and on the nodes",
    )


def _check_order(reader: KubeClient, rewriters: Iterable[Rewriter]) -> Iterator[Finding]:
    """Report which webhooks may add containers to a new Pod after mirrorhook has seen it.

    Webhooks are called in the order of the names of their configurations, after all policies.
    Then those are called again that were called before, if the Pod has changed since
    (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#reinvocation-policy).
    """
    others = [
        each["metadata"]["name"]
        for each in reader.list(CONFIGURATIONS, OUR_LABEL.replace("=", "!="))
        if any(_is_for_new_pods(webhook) for webhook in each.get("webhooks") or ())
    ]
    for each in rewriters:
        after = each.configuration if isinstance(each, WebhookEntry) else ""
        later = " and ".join(sorted(name for name in others if name > after))
        if not later:
            continue
        order = f"the API server calls {later} after {each.name}"
        if not each.is_reinvoked:
            yield notice(
                "order",
                f"{order}, but {each.name} not again: images that are added are not rewritten",
                "set webhook.reinvocationPolicy to IfNeeded and run helm upgrade",
            )
        elif each.skips_by_rules:
            yield notice(
                "order",
                f"{order}, which it calls again only for Pods that had images of the rules "
                "before: images that are added to other Pods are not rewritten",
                "set webhook.matchConditionsFromRules to false and run helm upgrade",
            )
        else:
            yield ok("order", f"{order}, and then {each.name} again, which rewrites added images")


def _is_for_new_pods(webhook: Mapping[str, Any]) -> bool:
    return any(
        {"", "*"} & {*rule["apiGroups"]}
        and {"CREATE", "*"} & {*rule["operations"]}
        and {"pods", "*", "*/*"} & {*rule["resources"]}
        for rule in webhook.get("rules") or ()
    )


def _check_rules(reader: KubeClient, namespace: str) -> Iterator[Finding]:
    """Check the rules of the release in a namespace."""
    found = dict(read_config_maps(reader, namespace))
    if not found:
        yield unknown("rules", f"there is no ConfigMap with rules in namespace {namespace}")
    for name, configuration in found.items():
        if isinstance(configuration, ConfigurationError):
            problems = "; ".join(problem.message for problem in configuration.problems)
            yield wrong(
                "rules",
                f"the rules in ConfigMap {namespace}/{name} are wrong: {problems}",
                "correct them in the values, then run helm upgrade",
            )
            continue
        for policy, settings in configuration.policies.items():
            count = len(settings.mirrors.rules)
            if count:
                rules = "rule" if count == 1 else "rules"
                yield ok("rules", f"policy {policy} has {count} {rules}")
            else:
                yield wrong(
                    "rules",
                    f"policy {policy} has no rules, so it changes nothing",
                    "add rules or profiles to the values, then run helm upgrade",
                )


def check_namespace(
    reader: KubeClient, installation: Installation, name: str, image: str | None
) -> Iterator[Finding]:
    """Check that the Pods of a namespace are rewritten, and try one in a dry run.

    Args:
        reader: The cluster.
        installation: What is installed of mirrorhook in the cluster.
        name: Name of the namespace.
        image: The image to try; None for one that a rule matches.
    """
    namespace = reader.get(f"/api/v1/namespaces/{name}")
    if namespace is None:
        yield wrong("namespace", f"there is no namespace {name}", "kubectl get namespaces")
        return
    if not installation.rewriters:
        return  # `check_cluster` has reported it
    labels = namespace["metadata"].get("labels") or {}
    rewriters = installation.find_rewriters(labels)
    if not rewriters:
        yield installation.explain_no_rewriter(name, labels)
        return
    for each in rewriters:
        yield ok("namespace", f"{each.name} handles the Pods of {name}")
    yield _try_pod(reader, installation, rewriters[0], name, image)


def _try_pod(
    reader: KubeClient,
    installation: Installation,
    rewriter: Rewriter,
    namespace: str,
    image: str | None,
) -> Finding:
    """Create a Pod in a dry run, and compare its image with what the rules say."""
    settings = installation.settings_of(rewriter)
    image = image or (_sample_image(settings.mirrors) if settings else None)
    if settings is None or image is None:
        return unknown("dry run", "no rule that rewrites is known", "give --image IMAGE")
    try:
        created = reader.dry_run_pod(namespace, _make_pod(image))
    except ClusterError as error:
        return wrong("dry run", str(error), _fix_refusal(str(error), rewriter))
    result = created["spec"]["containers"][0]["image"]
    return _compare(image, result, settings, rewriter)


def _fix_refusal(reason: str, rewriter: Rewriter) -> str:
    """Return how to fix the refusal of a Pod."""
    enforcing = VALIDATING_POLICY.search(reason)
    if enforcing:
        emergency = f"kubectl delete validatingadmissionpolicy {enforcing[1]}"
        return f"see above why the Pod is not rewritten; in an emergency: {emergency}"
    where = "policy" if isinstance(rewriter, BoundPolicy) else "replicas"
    return f"see the {where} above; in an emergency: kubectl delete {rewriter.resource}"


def _compare(image: str, result: str, settings: PolicySettings, rewriter: Rewriter) -> Finding:
    """Compare *result*, which the API server would store for *image*, with the rules."""
    expected = settings.mirrors.decide(image)
    unchanged = f"{image} is unchanged"
    for candidate in expected.candidates:
        if result == str(candidate):
            return ok("dry run", f"{image} became {result}: {candidate.reason}")
    if result == expected.image:
        fix = ADD_A_RULE if expected.outcome is Outcome.UNMATCHED else ""
        return notice("dry run", f"{unchanged}: {expected.reason}", fix)
    if result != image:
        return notice("dry run", f"{image} became {result} instead of {expected.image}")
    if settings.mode is Mode.OBSERVE:
        return notice("dry run", f"{unchanged}: policy {rewriter.policy} has mode observe")
    if settings.availability:
        return notice(
            "dry run",
            f"{unchanged}: the webhook asks the mirrors first, and perhaps none has it",
            "give --image IMAGE that a mirror has; mirrorhook explain --probe asks the mirrors",
        )
    return wrong(
        "dry run",
        f"{image} came back unchanged, but should have become {expected.image}",
        UNEVALUATED if isinstance(rewriter, BoundPolicy) else UNREACHED,
    )


def _sample_image(mirrors: MirrorMap) -> str | None:
    """Return an image that a rule rewrites."""
    for rule in mirrors.rules:
        prefix = str(rule.match or "").replace("*.", "x.").replace("*", "registry.example")
        for image in (f"{prefix}/mirrorhook/doctor", f"{prefix}/doctor"):
            if mirrors.decide(image).outcome is Outcome.REWRITTEN:
                return image
    return None


def _make_pod(image: str) -> dict[str, Any]:
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
