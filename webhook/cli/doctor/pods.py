"""Explain why each image of a Pod is rewritten or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.doctor.dry_run import describe_conditions
from webhook.cli.doctor.evidence import LoggedReview, find_review
from webhook.cli.doctor.installation import ADD_A_RULE, find_change
from webhook.cli.doctor.replicas import find_port, list_replicas
from webhook.cli.doctor.report import (
    Finding,
    report_note,
    report_ok,
    report_wrong,
)
from webhook.cli.doctor.selection import (
    NAME,
    explain_exclusion,
    explain_no_rewriter,
)
from webhook.cli.doctor.webhooks import WebhookEntry
from webhook.config import Mode
from webhook.core import Outcome
from webhook.kube import ClusterError, find_mismatches
from webhook.objects import (
    MIRROR_POD,
    OPT_OUT,
    ORIGINAL_IMAGES,
    decide_images,
    explain_missing_secrets,
    find_images,
    opt_out_reason,
    parse_originals,
    read_pod,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from webhook.cli.doctor.installation import Installation, Rewriter
    from webhook.config import PolicySettings
    from webhook.core import Decision
    from webhook.kube.client import KubeClient
    from webhook.objects import ImageDecision, PodSpec
    from webhook.registry import CheckResult

    # Asks the registries for the candidates of a decision: what each has said, by its name.
    Probe = Callable[[PolicySettings, Decision], Mapping[str, CheckResult]]

__all__ = ["explain_pod"]

STATUSES: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
PULL_FAILURES: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
# Answers of a registry after which a node cannot pull the image (`CheckStatus`).
ABSENT: Final = frozenset({"absent", "platform", "page"})
LOOPS: Final = "mirrorhook_loops_total"


@dataclass(frozen=True, slots=True)
class _PodFacts:
    """What is known of a Pod and of what handles it.

    Attributes:
        pod: The Pod.
        spec: Its images and pull secrets.
        opted_in: When its namespace was opted in, in RFC 3339; empty if that is unknown.
        rewriter: The webhook or policy that handles it.
        settings: Its rules.
        rules_changed: When the rules were changed last.
        review: Its review, if a replica has logged it.
        loops: How many owners the replicas have stopped.
    """

    pod: Mapping[str, Any]
    spec: PodSpec
    opted_in: str
    rewriter: Rewriter
    settings: PolicySettings
    rules_changed: str
    review: LoggedReview | None
    loops: float

    @property
    def created(self) -> str:
        """When the Pod was created, in RFC 3339."""
        return self.pod["metadata"].get("creationTimestamp") or ""

    @property
    def originals(self) -> dict[str, str]:
        """The recorded images by container."""
        annotations = self.pod["metadata"].get("annotations") or {}
        return parse_originals(annotations.get(ORIGINAL_IMAGES))


def explain_pod(
    reader: KubeClient,
    installation: Installation,
    namespace: str,
    name: str,
    probe: Probe | None = None,
) -> Iterator[Finding]:
    """Explain why each image of a Pod is rewritten or not.

    Args:
        reader: The cluster.
        installation: What is installed of mirrorhook in the cluster.
        namespace: Namespace of the Pod.
        name: Its name.
        probe: Asks registries for images; None to ask none.
    """
    pod = reader.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
    if pod is None:
        fix = f"kubectl --namespace {namespace} get pods"
        yield report_wrong("Pod", f"there is no Pod {namespace}/{name}", fix)
        return
    metadata = pod["metadata"]
    parsed = read_pod(pod)
    if MIRROR_POD in (metadata.get("annotations") or {}):
        yield report_note(
            "Pod",
            "it is a static Pod, which the kubelet creates without asking the API server",
            "configure the mirrors on the node: mirrorhook render containerd",
        )
        return
    opt_out = opt_out_reason(parsed.metadata)
    if opt_out:
        fix = f"remove {OPT_OUT} from the Pod's template, and recreate the Pod"
        yield report_note("Pod", f"it is skipped, as {opt_out}", fix)
        return
    space = (reader.get(f"/api/v1/namespaces/{namespace}") or {"metadata": {}})["metadata"]
    rewriter = _find_rewriter(pod, {NAME: namespace, **(space.get("labels") or {})}, installation)
    if isinstance(rewriter, Finding):
        yield rewriter
        return
    settings = installation.settings_of(rewriter, namespace)
    if settings is None or parsed.spec is None:
        yield installation.explain_unknown_rules(rewriter)
        return
    if settings.mode is Mode.OBSERVE:
        yield report_note(
            "policy", f"policy {rewriter.policy} has mode observe", "set mode: rewrite"
        )
        return
    opted_in = find_change(space, "f:metadata", "f:labels", f"f:{OPT_OUT}")
    facts = _collect_facts(reader, installation, rewriter, settings, pod, parsed.spec, opted_in)
    for image in decide_images(find_images(parsed.spec), settings.mirrors.decide):
        yield _explain_image(image, facts, probe)


def _find_rewriter(
    pod: Mapping[str, Any], labels: Mapping[str, str], installation: Installation
) -> Rewriter | Finding:
    """Return what handles a Pod in a namespace with these labels, or why nothing does."""
    if not installation.rewriters:
        if installation.unknown:
            return installation.unknown[0]
        text = "the API server has no webhook and no policy of mirrorhook"
        return report_wrong("webhook", text, "mirrorhook doctor")
    rewriters = installation.find_rewriters(labels)
    if not rewriters:
        found = explain_no_rewriter(installation.rewriters, pod["metadata"]["namespace"], labels)
        return Finding(found.check, found.status, found.text, f"{found.fix}; then recreate the Pod")
    own = pod["metadata"].get("labels") or {}
    for each in rewriters:
        if not find_mismatches(each.object_selector, own):
            return each
    return explain_exclusion(rewriters, own)


def _collect_facts(
    reader: KubeClient,
    installation: Installation,
    rewriter: Rewriter,
    settings: PolicySettings,
    pod: Mapping[str, Any],
    spec: PodSpec,
    opted_in: str,
) -> _PodFacts:
    review, loops = None, 0.0
    if isinstance(rewriter, WebhookEntry):
        rules = installation.rules_of(rewriter)
        changed = rules.changed if rules else ""
        review = find_review(reader, rewriter, pod["metadata"])
        loops = _count_loops(reader, rewriter)
    else:
        changed = rewriter.changed
    return _PodFacts(pod, spec, opted_in, rewriter, settings, changed, review, loops)


def _count_loops(reader: KubeClient, entry: WebhookEntry) -> float:
    """Return how many owners the replicas of a webhook have stopped, as far as they tell."""
    count = 0.0
    try:
        for pod in list_replicas(reader, entry):
            where = (pod["metadata"]["namespace"], pod["metadata"]["name"])
            _, text = reader.get_pod_page(*where, find_port(pod, "operations"), "/metrics")
            for line in text.splitlines():
                if line.startswith(LOOPS):
                    count += float(line.rpartition(" ")[2])
    except (ClusterError, ValueError):
        pass
    return count


def _explain_image(image: ImageDecision, facts: _PodFacts, probe: Probe | None) -> Finding:
    """Explain why one image is what it is."""
    field, decision = image
    recorded = facts.originals.get(field.name, "")
    made_of = facts.settings.mirrors.decide(recorded) if recorded else None
    if made_of and field.image in (each.image for each in made_of.candidates):
        return _explain_pull(image, facts, made_of, probe)
    if decision.outcome is Outcome.MIRRORED:
        return _explain_pull(image, facts, None, probe)
    if decision.outcome is Outcome.REWRITTEN:
        return _explain_unchanged(image, facts, probe)
    text = f"{field.image} is unchanged: {decision.reason}"
    if made_of:
        text += f"; {ORIGINAL_IMAGES} has {recorded}, of which the rules do not make it"
    if decision.outcome is Outcome.UNMATCHED:
        return report_note(field.name, text, ADD_A_RULE)
    if decision.outcome is Outcome.INVALID:
        fix = "correct the name in the manifest of the Pod or its owner"
        return report_wrong(field.name, text, fix)
    if decision.outcome is Outcome.UNAVAILABLE:
        return report_note(field.name, text, "correct the mirrors of the rule")
    return report_note(field.name, text)


def _explain_pull(
    image: ImageDecision, facts: _PodFacts, made_of: Decision | None, probe: Probe | None
) -> Finding:
    """Explain whether an image at a mirror can be pulled; *made_of* decided on its original."""
    field = image.field
    text = (
        f"{field.image}, rewritten from {made_of.original}"
        if made_of
        else f"{field.image} is unchanged: {image.decision.reason}"
    )
    problem = _find_pull_failure(facts.pod, field.name)
    original = made_of.original if made_of else "ORIGINAL"
    fill = f"fill the mirror: mirrorhook copy --config rules.yaml {original}"
    if problem:
        return report_wrong(
            field.name,
            f"{text}, but the node cannot pull it: {problem}",
            _fix_pull(problem, fill, image, made_of, facts.spec),
        )
    missing = _explain_missing_secrets(image, made_of, facts.spec)
    if missing and not _was_pulled(facts.pod, field.name):
        return report_wrong(field.name, text, missing)
    if made_of and probe and not _was_pulled(facts.pod, field.name):
        answer = probe(facts.settings, made_of).get(field.image)
        if answer is not None and answer.status in ABSENT:
            return report_wrong(
                field.name, f"{text}, but the mirror lacks it: it {answer.reason}", fill
            )
    return report_ok(field.name, text) if made_of else report_note(field.name, text)


def _find_status(pod: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the status of a container, as the kubelet reports it."""
    status = pod.get("status") or {}
    found = (each for key in STATUSES for each in status.get(key) or () if each["name"] == name)
    return next(found, {})


def _find_pull_failure(pod: Mapping[str, Any], name: str) -> str:
    """Return why the kubelet cannot pull the image of a container; empty if it can."""
    waiting = (_find_status(pod, name).get("state") or {}).get("waiting") or {}
    if waiting.get("reason") not in PULL_FAILURES:
        return ""
    return f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")


def _was_pulled(pod: Mapping[str, Any], name: str) -> bool:
    return bool(_find_status(pod, name).get("imageID"))


def _explain_missing_secrets(image: ImageDecision, made_of: Decision | None, spec: PodSpec) -> str:
    """Return which pull secrets of its mirror a Pod lacks, in the words of the webhook."""
    if made_of is None:
        return ""
    chosen = next(each for each in made_of.candidates if each.image == image.field.image)
    decision = made_of._replace(candidate=chosen)
    return explain_missing_secrets(spec, [image._replace(decision=decision)])


def _fix_pull(
    problem: str, fill: str, image: ImageDecision, made_of: Decision | None, spec: PodSpec
) -> str:
    """Return what makes an image at a mirror one that can be pulled."""
    words = problem.lower()
    missing = _explain_missing_secrets(image, made_of, spec)
    if missing:
        return missing
    if any(each in words for each in ("unauthorized", "denied", "forbidden", "401", "403")):
        return (
            "give the Pods credentials for the mirror: pullSecrets of the mirror in the rules, and "
            "the Secret in the namespace"
        )
    if any(each in words for each in ("not found", "manifest unknown", "404")):
        return fill
    if any(each in words for each in ("x509", "certificate", "https client")):
        return "let the container runtime of the nodes trust the mirror (its CA, or plain HTTP)"
    return f"find out whether nodes reach the mirror; if it lacks the image, {fill}"


def _explain_unchanged(image: ImageDecision, facts: _PodFacts, probe: Probe | None) -> Finding:
    """Explain why an image was not rewritten, though the rules say so today."""
    field, decision = image
    metadata, rewriter = facts.pod["metadata"], facts.rewriter
    space = metadata["namespace"]
    text = f"{field.image} would be {decision.image} today ({decision.reason})"
    recreate = (
        f"recreate it: kubectl --namespace {space} delete pod {metadata['name']}, or kubectl "
        "rollout restart its owner"
    )
    recorded = facts.originals.get(field.name)
    if recorded:
        reason = f"but its image was changed after {recorded} had been rewritten, while"
        reason = f"{reason} {rewriter.noun} was not reached"
        return report_wrong(field.name, f"{text}, {reason}", f"set the image again, or {recreate}")
    if facts.review:
        return _explain_review(image, facts.review, text, recreate)
    if facts.created < rewriter.created:
        reason = f"but the Pod is older than {rewriter.noun}, of {rewriter.created}"
        return report_wrong(field.name, f"{text}, {reason}", recreate)
    if facts.created < facts.opted_in:
        reason = f"but its namespace had not opted in when it was created, before {facts.opted_in}"
        return report_wrong(field.name, f"{text}, {reason}", recreate)
    if facts.created < facts.rules_changed:
        reason = f"but the rules were different when it was created, before {facts.rules_changed}"
        return report_wrong(field.name, f"{text}, {reason}", recreate)
    if facts.settings.availability and probe:
        answers = probe(facts.settings, decision)
        if answers and not any(each.is_present for each in answers.values()):
            found = "; ".join(f"{name} {each.reason}" for name, each in answers.items())
            return report_wrong(
                field.name,
                f"{text}, but no mirror is known to have it: {found}",
                f"mirrorhook copy --config rules.yaml {field.image}; then {recreate}",
            )
    causes = "; ".join(_list_causes(facts))
    return report_wrong(
        field.name,
        f"{text}, and no log tells why it is not. It may be that {causes}",
        f"mirrorhook doctor --namespace {space}; then {recreate}",
    )


def _explain_review(
    image: ImageDecision, review: LoggedReview, text: str, recreate: str
) -> Finding:
    """Explain an image by what a replica logged of it."""
    name = image.field.name
    outcome, reason = review.images.get(name, (review.result, review.reason))
    said = f"{text}, but when the Pod was created the webhook left it ({outcome}): {reason}"
    said = f"{said} (log of {review.replica}, {review.time})"
    if outcome == Outcome.REWRITTEN:
        return report_wrong(
            name,
            f"{text}: the webhook rewrote it at {review.time}, and something has changed it since",
            "find out what changes the Pod: kubectl get pod --show-managed-fields -o yaml",
        )
    fixes: dict[str, str] = {
        Outcome.UNAVAILABLE: f"mirrorhook copy --config rules.yaml {image.field.image}; {recreate}",
        Outcome.LOOPING: "name the mirror in the resource that the owner reads, or opt the Pod out",
        Outcome.UNMATCHED: f"the rules were different: {recreate}",
    }
    return report_wrong(name, said, fixes.get(outcome, recreate))


def _list_causes(facts: _PodFacts) -> Iterator[str]:
    """Yield all that may have kept an image from being rewritten, each with how to check it."""
    rewriter = facts.rewriter
    if isinstance(rewriter, WebhookEntry):
        yield (
            f"{rewriter.noun} was not reached in time (kubectl get --raw /metrics | grep "
            f"'fail_open_count.*{rewriter.name}')"
        )
    else:
        yield f"{rewriter.noun} was not reached, or its evaluation failed"
    if not facts.opted_in or facts.created == facts.opted_in:
        yield "its namespace had not opted in"
    if rewriter.conditions:
        yield f"a match condition excluded it ({describe_conditions(rewriter)})"
    if rewriter.skips_by_rules:
        yield "its match conditions are for other rules, as the ConfigMap was changed without Helm"
    if not facts.rules_changed or facts.created == facts.rules_changed:
        yield "the rules were different"
    if facts.settings.availability:
        yield "no mirror was known to have the image (availability.mode is check)"
    if facts.loops:
        yield (
            f"its owner had been stopped by the loop detector, as {facts.loops:.0f} were "
            "(log line `owner skipped`)"
        )
    yield "its image was changed later, while the webhook was away"
