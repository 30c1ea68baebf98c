"""Explain why each image of a Pod is rewritten or not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from webhook.cli.doctor.installation import ADD_A_RULE
from webhook.cli.doctor.report import Finding, notice, ok, unknown, wrong
from webhook.config import Mode
from webhook.core import Outcome
from webhook.kube import find_mismatch
from webhook.objects import (
    MIRROR_POD,
    OPT_OUT,
    ORIGINAL_IMAGES,
    decide_images,
    find_images,
    opt_out_reason,
    parse_originals,
    read_pod,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.cli.doctor.installation import Installation, Rewriter
    from webhook.kube.client import KubeClient
    from webhook.objects import ImageDecision

__all__ = ["explain_pod"]


def explain_pod(
    reader: KubeClient, installation: Installation, namespace: str, name: str
) -> Iterator[Finding]:
    """Explain why each image of a Pod is rewritten or not."""
    pod = reader.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    if pod is None:
        yield wrong("Pod", f"there is no Pod {namespace}/{name}", "kubectl get pods -A")
        return
    metadata = pod["metadata"]
    parsed = read_pod(pod)
    if MIRROR_POD in (metadata.get("annotations") or {}):
        yield notice(
            "Pod",
            "it is a static Pod, which the kubelet creates without asking the API server",
            "configure the mirrors on the node: mirrorhook render containerd",
        )
        return
    opt_out = opt_out_reason(parsed.metadata)
    if opt_out:
        yield notice("Pod", f"it is skipped, as {opt_out}", f"remove {OPT_OUT} from it")
        return
    space = reader.get(f"/api/v1/namespaces/{namespace}") or {"metadata": {}}
    rewriter = _find_rewriter(pod, space["metadata"].get("labels") or {}, installation)
    if isinstance(rewriter, Finding):
        yield rewriter
        return
    settings = installation.settings_of(rewriter)
    if settings is None or parsed.spec is None:
        yield unknown("rules", f"the rules of policy {rewriter.policy} are unknown")
        return
    if settings.mode is Mode.OBSERVE:
        yield notice("policy", f"policy {rewriter.policy} has mode observe", "set mode: rewrite")
        return
    originals = parse_originals((metadata.get("annotations") or {}).get(ORIGINAL_IMAGES))
    for image in decide_images(find_images(parsed.spec), settings.mirrors.decide):
        yield _explain_image(image, originals, metadata, rewriter)


def _find_rewriter(
    pod: Mapping[str, Any], labels: Mapping[str, str], installation: Installation
) -> Rewriter | Finding:
    """Return what handles a Pod in a namespace with these labels, or why nothing does."""
    if not installation.rewriters:
        text = "the API server has no webhook and no policy of mirrorhook"
        return wrong("webhook", text, "mirrorhook doctor")
    rewriters = installation.find_rewriters(labels)
    if not rewriters:
        found = installation.explain_no_rewriter(pod["metadata"]["namespace"], labels)
        return replace(found, fix=f"{found.fix}; then recreate the Pod")
    own = pod["metadata"].get("labels") or {}
    for each in rewriters:
        if not find_mismatch(each.object_selector, own):
            return each
    reasons = {find_mismatch(each.object_selector, own) for each in rewriters}
    return notice(
        "Pod",
        f"its labels exclude it from {rewriters[0].noun}: {'; '.join(sorted(reasons))}; otherwise "
        "an operator that compares images would replace it endlessly",
        "name the mirror in the resource that the operator reads (docs/install.md)",
    )


def _explain_image(
    image: ImageDecision,
    originals: Mapping[str, str],
    metadata: Mapping[str, Any],
    rewriter: Rewriter,
) -> Finding:
    """Explain why one image is what it is; *originals* are recorded images by container."""
    field, decision = image
    if field.name in originals:
        return ok(field.name, f"{field.image}, rewritten from {originals[field.name]}")
    if decision.outcome is not Outcome.REWRITTEN:
        text = f"{field.image} is unchanged: {decision.reason}"
        if decision.outcome is Outcome.UNMATCHED:
            return notice(field.name, text, ADD_A_RULE)
        if decision.outcome is Outcome.INVALID:
            return wrong(
                field.name, text, "correct the name in the manifest of the Pod or its owner"
            )
        return notice(field.name, text)
    text = f"{field.image} would be {decision.image} today ({decision.reason})"
    recreate = (
        f"recreate it: kubectl --namespace {metadata['namespace']} delete pod "
        f"{metadata['name']}, or kubectl rollout restart its owner"
    )
    if (metadata.get("creationTimestamp") or "") < rewriter.created:
        return wrong(field.name, f"{text}, but the Pod is older than {rewriter.noun}", recreate)
    return wrong(
        field.name,
        f"{text}: when the Pod was created, {rewriter.noun} was not reached, its namespace "
        "had not opted in, or the rules were different",
        f"mirrorhook doctor --namespace {metadata['namespace']}; then {recreate}",
    )
