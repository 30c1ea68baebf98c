"""One Pod, explained: why each of its images is what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from webhook.cli.doctor.installation import ADD_A_RULE, obstacle
from webhook.cli.doctor.report import Finding, doubt, fine, unknown, wrong
from webhook.config import Mode
from webhook.core import Outcome
from webhook.objects import (
    MIRROR_POD,
    OPT_OUT,
    ORIGINAL_IMAGES,
    exempt,
    image_slots,
    pod_from,
    rewrite,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.cli.doctor.installation import Cluster, Rewriter
    from webhook.kube.reading import Reader
    from webhook.objects import Placement

__all__ = ["look_at_pod"]


def look_at_pod(reader: Reader, cluster: Cluster, namespace: str, name: str) -> Iterator[Finding]:
    """Say why the images of a Pod are what they are.

    Args:
        reader: The cluster.
        cluster: What is known of us in it.
        namespace: The Pod's namespace.
        name: Its name.
    """
    pod = reader.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    if pod is None:
        yield wrong("Pod", f"there is no Pod {namespace}/{name}", "kubectl get pods -A")
        return
    space = reader.get(f"/api/v1/namespaces/{namespace}") or {"metadata": {}}
    yield from explain(pod, space["metadata"].get("labels") or {}, cluster)


def explain(
    pod: Mapping[str, Any], labels: Mapping[str, str], cluster: Cluster
) -> Iterator[Finding]:
    """Say why the images of a Pod are what they are.

    Args:
        pod: The Pod.
        labels: Labels of its namespace.
        cluster: What is known of us.
    """
    read = pod_from(pod)
    metadata = pod["metadata"]
    if MIRROR_POD in (metadata.get("annotations") or {}):
        yield doubt(
            "Pod",
            "it is a static Pod, which the kubelet makes without asking the API server",
            "give the node the rules: mirrorhook render containerd",
        )
        return
    exemption = exempt(read.metadata)
    if exemption:
        yield doubt("Pod", f"it is left alone, as {exemption}", f"remove {OPT_OUT} from it")
        return
    rewriter = asked(pod, labels, cluster)
    if isinstance(rewriter, Finding):
        yield rewriter
        return
    settings = cluster.settings(rewriter)
    if settings is None or read.spec is None:
        yield unknown("rules", f"those of policy {rewriter.policy} are not known")
        return
    if settings.mode is Mode.OBSERVE:
        policy = f"policy {rewriter.policy} only observes"
        yield doubt("policy", policy, "set mode: rewrite")
        return
    originals = originals_of(metadata)
    for placement in rewrite(image_slots(read.spec), settings.mirrors.decide):
        yield of_image(placement, originals, metadata, rewriter)


def asked(
    pod: Mapping[str, Any], labels: Mapping[str, str], cluster: Cluster
) -> Rewriter | Finding:
    """Return the webhook or policy that is asked about a Pod, or why there is none."""
    if not cluster.rewriters:
        none = "the API server knows of no webhook and of no policy of mirrorhook"
        return wrong("webhook", none, "mirrorhook doctor")
    selecting = cluster.selecting(labels)
    if not selecting:
        found = cluster.unasked(pod["metadata"]["namespace"], labels)
        return replace(found, mend=f"{found.mend}, and create the Pod anew")
    own = pod["metadata"].get("labels") or {}
    reasons = {obstacle(each.objects, own) for each in selecting}
    if "" in reasons:
        return next(each for each in selecting if not obstacle(each.objects, own))
    said = selecting[0].said
    return doubt(
        "Pod",
        f"its labels keep it from {said}: {'; '.join(sorted(reasons))}; an operator "
        "that compares images would replace it without end",
        "name the mirror in the resource that the operator reads (docs/install.md)",
    )


def originals_of(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    """Return what the images were, as the webhook has written it on the Pod."""
    text = (metadata.get("annotations") or {}).get(ORIGINAL_IMAGES) or "{}"
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def of_image(
    placement: Placement,
    originals: Mapping[str, str],
    metadata: Mapping[str, Any],
    rewriter: Rewriter,
) -> Finding:
    """Say why one image is what it is."""
    slot, decision = placement
    if slot.name in originals:
        return fine(slot.name, f"{slot.image}, which was {originals[slot.name]}")
    if decision.outcome is not Outcome.REWRITTEN:
        said = f"{slot.image} stays as it is: {decision.reason}"
        if decision.outcome is Outcome.UNMATCHED:
            return doubt(slot.name, said, ADD_A_RULE)
        if decision.outcome is Outcome.INVALID:
            return wrong(slot.name, said, "correct the name where the Pod is written")
        return doubt(slot.name, said)
    instead = f"{slot.image} would be {decision.image} today ({decision.reason})"
    anew = f"create it anew: kubectl --namespace {metadata['namespace']} delete pod "
    anew += f"{metadata['name']}, or rollout restart of what owns it"
    said = rewriter.said
    if (metadata.get("creationTimestamp") or "") < rewriter.created:
        return wrong(slot.name, f"{instead}, but the Pod is older than {said}", anew)
    return wrong(
        slot.name,
        f"{instead}: when the Pod was created, {said} was not reached, its namespace "
        "had not opted in, or the rules were others",
        f"mirrorhook doctor --namespace {metadata['namespace']}; then {anew}",
    )
