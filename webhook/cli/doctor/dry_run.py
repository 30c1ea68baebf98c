"""Creating a Pod in a dry run, and finding out why its image is what it is."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.doctor.evidence import CallCounts, read_call_counts
from webhook.cli.doctor.installation import ADD_A_RULE
from webhook.cli.doctor.release import FORCED
from webhook.cli.doctor.report import (
    Finding,
    report_note,
    report_ok,
    report_unknown,
    report_wrong,
)
from webhook.cli.doctor.webhooks import WebhookEntry
from webhook.config import Mode
from webhook.core import Outcome
from webhook.kube import ClusterError, make_labels

if TYPE_CHECKING:
    from webhook.cli.doctor.installation import Installation, Rewriter
    from webhook.config import PolicySettings
    from webhook.core import MirrorMap
    from webhook.kube.client import KubeClient

__all__ = ["describe_conditions", "try_pod"]

CHECK: Final = "dry run"
SMALL: Final = {"cpu": "1m", "memory": "1Mi", "ephemeral-storage": "1Mi"}
# As the Pod Security Standard "restricted" requires.
RESTRICTED: Final = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
# The condition of the chart with the rules is true for a Pod with an image of more than 500
# characters, whatever the rules.
LONG_IMAGE: Final = f"mirrorhook.invalid/{'x/' * 250}x"
UNMIRRORED: Final = "these images are not from a mirror"
FIREWALL: Final = (
    "allow TCP from the API server to port 8443 of the replicas (webhook.port) in firewalls and "
    "network policies; values for clouds: cloud.gkePrivateCluster, cloud.eksOverlayNetwork"
)
METRICS: Final = (
    "find out whether it was called: kubectl get --raw /metrics | grep -E "
    "'(webhook_(fail_open|rejection)_count|match_condition_exclusions_total|"
    "mutating_admission_policy_check_total).*{name}'"
)

OURS: Final = re.compile(r'failed calling webhook(?: "([^"]+)")?')
DENIED: Final = re.compile(r'admission webhook "([^"]+)" denied')
VALIDATING_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '([^']+)'")
# Parts of what the API server says if something else refuses a Pod, with what to do.
REFUSALS: Final = (
    (
        "exceeded quota",
        (
            "a quota of the namespace is used up, so that no Pod can be created here: "
            "kubectl --namespace {namespace} describe resourcequota"
        ),
    ),
    (
        "failed quota",
        (
            "a quota of the namespace asks for more than this Pod says: "
            "kubectl --namespace {namespace} describe resourcequota"
        ),
    ),
    (
        "usage per",
        (
            "a limit range of the namespace refuses so small a Pod: "
            "kubectl --namespace {namespace} describe limitrange"
        ),
    ),
    ("violates PodSecurity", "the Pod Security admission of the namespace refuses this Pod"),
    (
        "cannot create resource",
        "you may not create Pods here: kubectl auth can-i create pods --namespace {namespace}",
    ),
    ("is being terminated", "the namespace is being deleted"),
    (
        "serviceaccount",
        (
            "the service account of the namespace is not there: "
            "kubectl --namespace {namespace} get serviceaccounts"
        ),
    ),
)
SLOW: Final = ("deadline exceeded", "timeout", "timed out", "no route to host", "unreachable")
TRUST: Final = ("x509", "certificate")


def try_pod(
    reader: KubeClient,
    installation: Installation,
    rewriter: Rewriter,
    namespace: str,
    image: str | None,
) -> Finding:
    """Create a Pod in a dry run, and compare its image with what the rules say.

    Args:
        reader: The cluster.
        installation: What is installed of mirrorhook in the cluster.
        rewriter: The webhook or policy that handles the namespace.
        namespace: The namespace.
        image: The image to try; None for one that a rule matches.
    """
    settings = installation.settings_of(rewriter, namespace)
    image = image or (_sample_image(settings.mirrors) if settings else None)
    if settings is None or image is None:
        return report_unknown(CHECK, "no rule that rewrites is known", "give --image IMAGE")
    try:
        result = _try_image(reader, rewriter, namespace, image)
        return _compare(image, result, settings, rewriter) or _explain_unchanged(
            reader, rewriter, namespace, settings, image
        )
    except ClusterError as error:
        return _explain_refusal(str(error), rewriter, namespace)


def _try_image(reader: KubeClient, rewriter: Rewriter, namespace: str, *images: str) -> str:
    """Return what becomes of the first image of a Pod in a dry run."""
    created = reader.dry_run_pod(
        namespace, _make_pod(images, make_labels(rewriter.object_selector))
    )
    return str(created["spec"]["containers"][0]["image"])


def _compare(
    image: str, result: str, settings: PolicySettings, rewriter: Rewriter
) -> Finding | None:
    """Compare *result*, which the API server would store for *image*, with the rules.

    Returns:
        None if it is unchanged, though the rules say otherwise.
    """
    expected = settings.mirrors.decide(image)
    unchanged = f"{image} is unchanged"
    for candidate in expected.candidates:
        if result == candidate.image:
            return report_ok(CHECK, f"{image} became {result}: {candidate.reason}")
    if result == expected.image:
        fix = ADD_A_RULE if expected.outcome is Outcome.UNMATCHED else ""
        return report_note(CHECK, f"{unchanged}: {expected.reason}", fix)
    if result != image:
        return report_note(CHECK, f"{image} became {result} instead of {expected.image}")
    if settings.mode is Mode.OBSERVE:
        text = f"{unchanged}: policy {rewriter.policy} has mode observe"
        return report_note(CHECK, text, "set mode: rewrite in the values")
    return None


def _explain_refusal(reason: str, rewriter: Rewriter, namespace: str) -> Finding:
    """Return who refused a Pod, and how to fix it."""
    emergency = f"in an emergency: kubectl delete {rewriter.resource}"
    called = OURS.search(reason)
    if called and called[1] in {None, rewriter.name}:
        words = reason.lower()
        if any(each in words for each in TRUST):
            return report_wrong(CHECK, reason, f"see trust and certificate above; {emergency}")
        if any(each in words for each in SLOW):
            return report_wrong(CHECK, reason, f"{FIREWALL}; {emergency}")
        return report_wrong(CHECK, reason, f"see the replicas above; {emergency}")
    enforcing = VALIDATING_POLICY.search(reason)
    if enforcing and UNMIRRORED in reason:
        delete = f"kubectl delete validatingadmissionpolicy {enforcing[1]}"
        fix = f"see above why the Pod is not rewritten; in an emergency: {delete}"
        return report_wrong(CHECK, reason, fix)
    if f"policy '{rewriter.policy}'" in reason and not isinstance(rewriter, WebhookEntry):
        return report_wrong(CHECK, reason, f"see the policy above; {emergency}")
    for part, advice in REFUSALS:
        if part in reason:
            fix = f"{advice.format(namespace=namespace)}; this is not about mirrorhook"
            return report_unknown(CHECK, reason, fix)
    other = called or DENIED.search(reason) or enforcing
    name = f"by {other[1]}" if other else "by something else"
    return report_unknown(
        CHECK, reason, f"the Pod is refused {name}, not by mirrorhook: try another --namespace"
    )


def _explain_unchanged(
    reader: KubeClient,
    rewriter: Rewriter,
    namespace: str,
    settings: PolicySettings,
    image: str,
) -> Finding:
    """Find out why an image came back unchanged, by what is counted during further dry runs."""
    expected = settings.mirrors.decide(image).image
    text = f"{image} came back unchanged, but should have become {expected}"
    if rewriter.skips_by_rules:
        longer = _try_image(reader, rewriter, namespace, image, LONG_IMAGE)
        if longer != image:
            return report_wrong(
                CHECK,
                f"{text}: the match condition mirrorhook.io/has-images-of-the-rules of "
                f"{rewriter.label} is for other rules than those in the ConfigMap, which was "
                "changed without Helm",
                f"put the rules into the values and run {rewriter.upgrade} {FORCED}, which writes "
                "both; or set webhook.matchConditionsFromRules to false",
            )
    try:
        before = read_call_counts(reader, rewriter)
        began = monotonic()
        _try_image(reader, rewriter, namespace, image)
        seconds = monotonic() - began
        counts = read_call_counts(reader, rewriter).since(before)
    except ClusterError as error:
        if settings.availability:
            return _doubt_mirrors(rewriter, text)
        return report_wrong(
            CHECK,
            f"{text}; why is unknown, as the metrics of the API server cannot be read ({error}): "
            f"{_list_causes(rewriter, settings)}",
            METRICS.format(name=rewriter.name.removeprefix("policy ")),
        )
    return _explain_counts(rewriter, settings, text, counts, seconds)


def _doubt_mirrors(rewriter: Rewriter, text: str) -> Finding:
    return report_note(
        CHECK,
        f"{text}: {rewriter.noun} asks the mirrors first, and perhaps none has it",
        "give --image IMAGE that a mirror has; mirrorhook explain --probe asks the mirrors",
    )


def _explain_counts(
    rewriter: Rewriter, settings: PolicySettings, text: str, counts: CallCounts, seconds: float
) -> Finding:
    """Explain an unchanged image by what the API server did meanwhile."""
    logs = f"kubectl --namespace {rewriter.namespace} logs -l app.kubernetes.io/name=mirrorhook"
    if counts.failed and isinstance(rewriter, WebhookEntry):
        if seconds >= rewriter.seconds:
            return report_wrong(
                CHECK,
                f"{text}: {rewriter.label} did not answer within its {rewriter.seconds} s",
                FIREWALL,
            )
        return report_wrong(
            CHECK,
            f"{text}: the API server could not call {rewriter.label}",
            "see Service, replicas, trust and certificate above, and the log of the API server",
        )
    if counts.failed:
        return report_wrong(
            CHECK,
            f"{text}: the evaluation of {rewriter.name} failed",
            "see the log of the API server; a Pod may cost more than it allows (docs/policy.md)",
        )
    if counts.excluded and rewriter.conditions:
        return report_note(
            CHECK,
            f"{text}: a match condition excluded the Pod: {describe_conditions(rewriter)}",
            f"change webhook.matchConditions in the values, and run {rewriter.upgrade}",
        )
    if counts.called and settings.availability:
        return _doubt_mirrors(rewriter, text)
    if counts.called:
        return report_wrong(
            CHECK,
            f"{text}: {rewriter.name} was called, and left it: the replicas have other rules",
            f"see `rules in use` above, and {logs}",
        )
    return report_wrong(
        CHECK,
        f"{text}: the API server did not call {rewriter.label}: {_list_causes(rewriter, settings)}",
        METRICS.format(name=rewriter.name.removeprefix("policy ")),
    )


def _list_causes(rewriter: Rewriter, settings: PolicySettings) -> str:
    """Return all that may keep an image from being rewritten, if nothing is known of it."""
    causes = []
    if isinstance(rewriter, WebhookEntry):
        causes.append(f"it was not reached, or did not answer within {rewriter.seconds} s")
    else:
        causes.append("it is new, or its evaluation failed")
    if rewriter.conditions:
        causes.append(f"a match condition excluded the Pod ({describe_conditions(rewriter)})")
    if settings.availability:
        causes.append("no mirror is known to have the image")
    return f"it may be that {', or that '.join(causes)}"


def describe_conditions(rewriter: Rewriter) -> str:
    """Return the names of the match conditions that are not of the chart."""
    return ", ".join(rewriter.conditions)


def _sample_image(mirrors: MirrorMap) -> str | None:
    """Return an image that a rule rewrites."""
    for rule in mirrors.rules:
        prefix = str(rule.match or "").replace("*.", "x.").replace("*", "registry.example")
        for image in (f"{prefix}/mirrorhook/doctor", f"{prefix}/doctor"):
            if mirrors.decide(image).outcome is Outcome.REWRITTEN:
                return image
    return None


def _make_pod(images: tuple[str, ...], labels: dict[str, str]) -> dict[str, Any]:
    """Return a Pod that most namespaces admit."""
    containers = [
        {
            "name": f"doctor-{number}" if number else "doctor",
            "image": image,
            "resources": {"requests": SMALL, "limits": SMALL},
            "securityContext": RESTRICTED,
        }
        for number, image in enumerate(images)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "mirrorhook-doctor-", "labels": labels},
        "spec": {"containers": containers, "automountServiceAccountToken": False},
    }
