"""What the rules make of each image in use: the entries of `mirrorhook audit`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from webhook.cli.cluster_objects import read_namespace_labels
from webhook.cli.doctor.policies import read_policies
from webhook.cli.doctor.webhooks import read_webhooks
from webhook.cli.images_in_use import confirm_original
from webhook.core import Candidate, Decision, Mirror, Outcome, Rule
from webhook.kube import find_mismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from webhook.cli.doctor.installation import Rewriter
    from webhook.cli.images_in_use import ImageInUse
    from webhook.cli.probe import ProbedDecision
    from webhook.config import PolicySettings
    from webhook.kube.client import KubeClient

    # Decides on an image, by the namespace of its Pod and its name.
    DecideIn: TypeAlias = Callable[[str, str], Decision]

__all__ = [
    "AuditEntry",
    "ImageState",
    "PodSelection",
    "audit_images",
    "probe_entries",
    "read_selection",
]

REMEMBERED_IMAGES: Final = 10_000


class ImageState(StrEnum):
    """The state of an image in use."""

    MIRRORED = "mirrored"
    WOULD_CHANGE = "would change on restart"
    NO_RULE = "no rule"
    KEPT = "kept"
    NEVER_PULLED = "pull policy Never"
    NOT_SELECTED = "namespace not selected"
    OPTED_OUT = "Pod opted out"
    INVALID = "invalid"
    NOT_IN_MIRROR = "not in the mirror"


STATES: Final = {
    Outcome.REWRITTEN: ImageState.WOULD_CHANGE,
    Outcome.UNCONFIRMED: ImageState.WOULD_CHANGE,
    Outcome.KEPT: ImageState.KEPT,
    Outcome.MIRRORED: ImageState.MIRRORED,
    Outcome.UNMATCHED: ImageState.NO_RULE,
    Outcome.INVALID: ImageState.INVALID,
    Outcome.UNAVAILABLE: ImageState.NOT_IN_MIRROR,
}


class AuditEntry(NamedTuple):
    """An image in a container of a workload; entries sort by namespace, owner and container.

    Attributes:
        namespace: The namespace; empty in a manifest that leaves it to kubectl.
        kind: Kind of the owner, in which one would change the image.
        name: Name of the owner.
        container: Its container; ``volume:`` and the name for a volume.
        image: The image that is pulled now.
        original: The image as it was before the webhook rewrote it.
        registry: The registry that it is pulled from now; empty if the image is invalid.
        state: Its state.
        result: The image that a new Pod would get.
        rule: The rule that applies; empty if there is none.
        reason: Why it has the state.
        file: File that it was read from; empty for a cluster.
        pods: How many Pods have it; 0 for a template without Pods.
    """

    namespace: str
    kind: str
    name: str
    container: str
    image: str
    original: str
    registry: str
    state: ImageState
    result: str
    rule: str
    reason: str
    file: str
    pods: int = 0


class PodSelection:
    """The Pods that a cluster asks its webhooks and policies about.

    Args:
        rewriters: The webhooks and policies; without any, every Pod counts as selected.
        namespaces: The labels of each namespace.
    """

    def __init__(
        self, rewriters: tuple[Rewriter, ...] = (), namespaces: Mapping[str, Any] | None = None
    ) -> None:
        self.rewriters = rewriters
        self._namespaces = namespaces or {}

    def explain_exclusion(self, image: ImageInUse) -> tuple[ImageState, str] | None:
        """Return the state of a Pod that is not selected, and the reason; None if it is."""
        labels = self._namespaces.get(image.owner.namespace)
        if labels is None or not self.rewriters:
            return None
        mismatches = [find_mismatch(each.namespace_selector, labels) for each in self.rewriters]
        if all(mismatches):
            return ImageState.NOT_SELECTED, "; ".join(sorted(set(mismatches)))
        own = {key: value or "" for key, value in image.labels.items()}
        reasons = {
            find_mismatch(each.object_selector, own)
            for each, mismatch in zip(self.rewriters, mismatches, strict=True)
            if not mismatch
        }
        return None if "" in reasons else (ImageState.OPTED_OUT, "; ".join(sorted(reasons)))


def read_selection(client: KubeClient, policy: str, namespace: str = "") -> PodSelection:
    """Read which Pods a cluster asks its webhooks and policies about.

    Args:
        client: The cluster.
        policy: Leave out webhooks of other policies of the rules.
        namespace: Read this namespace only; empty for all.

    Raises:
        ClusterError: The cluster cannot be read.
    """
    webhooks = [each for each in read_webhooks(client) if each.policy == policy]
    rewriters: tuple[Rewriter, ...] = (*webhooks, *read_policies(client).bound)
    if not rewriters:
        return PodSelection()
    return PodSelection(rewriters, read_namespace_labels(client, namespace))


def audit_images(
    images: Iterable[ImageInUse], decide: DecideIn, selection: PodSelection
) -> list[AuditEntry]:
    """Return an entry for each image of each container, in order.

    A template has entries of its own only for images that no Pod of its owner has.

    Args:
        images: The images in use.
        decide: Decides on one image in a namespace.
        selection: The Pods that would be rewritten.
    """
    decide = lru_cache(REMEMBERED_IMAGES)(decide)
    pods: Counter[AuditEntry] = Counter()
    for image in images:
        pods[_create_entry(image, decide, selection)] += 1 if image.pod else 0
    in_pods = {
        (*entry[:4], name)
        for entry, count in pods.items()
        if count
        for name in (entry.image, entry.original)
    }
    return sorted(
        entry._replace(pods=count)
        for entry, count in pods.items()
        if count
        or in_pods.isdisjoint(
            (*entry[:4], name)
            for name in (
                entry.original,
                *(each.image for each in decide(entry.namespace, entry.original).candidates),
            )
        )
    )


def _create_entry(image: ImageInUse, decide_in: DecideIn, selection: PodSelection) -> AuditEntry:
    decide = partial(decide_in, image.owner.namespace)
    original = confirm_original(image, decide)
    now, decision = decide(image.image), decide(original)
    state, reason, result = STATES[decision.outcome], decision.reason, decision.image
    is_candidate = image.image in (each.image for each in decision.candidates)
    if now.outcome is Outcome.INVALID:
        state, reason = ImageState.INVALID, now.reason
    elif is_candidate or now.outcome is Outcome.MIRRORED:
        state, result = ImageState.MIRRORED, image.image
        reason = f"rewritten from {original}" if image.image != original else now.reason
    else:
        exclusion = _explain_exclusion(image, selection)
        if exclusion:
            (state, reason), result = exclusion, original
    return AuditEntry(
        namespace=image.owner.namespace,
        kind=image.owner.kind,
        name=image.owner.name,
        container=image.container,
        image=image.image,
        original=original,
        registry=now.reference.registry if now.reference else "",
        state=state,
        result=result,
        rule=str(decision.rule or now.rule or ""),
        reason=reason,
        file=image.source,
    )


def _explain_exclusion(image: ImageInUse, selection: PodSelection) -> tuple[ImageState, str] | None:
    """Return the state of an image that is kept whatever the rules, and the reason."""
    if image.pull_policy == "Never":
        return ImageState.NEVER_PULLED, "its pull policy is Never"
    if image.opt_out:
        return ImageState.OPTED_OUT, image.opt_out
    return selection.explain_exclusion(image)


def probe_entries(
    entries: Iterable[AuditEntry],
    settings: PolicySettings,
    probe: Callable[[list[Decision]], list[ProbedDecision]],
) -> list[AuditEntry]:
    """Return entries with their states by what the mirrors have.

    The mirrors are asked for images that would change, and for those that are pulled from
    them already.

    Args:
        entries: The entries.
        settings: The rules; without availability checks only the first mirror counts.
        probe: Asks for the candidates of decisions, as `probe_candidates` does.
    """
    asked = [(entry, _find_question(entry, settings)) for entry in entries]
    questions: dict[str, Decision] = {}
    for _, name in asked:
        if name and name not in questions:
            decision = settings.mirrors.decide(name)
            questions[name] = decision if decision.candidates else _ask_registry(decision)
    answers = dict(zip(questions, probe([*questions.values()]), strict=True))
    return [_update_entry(entry, name, answers[name]) if name else entry for entry, name in asked]


def _find_question(entry: AuditEntry, settings: PolicySettings) -> str:
    """Return the image to ask the mirrors for; empty if they do not matter."""
    if entry.state is ImageState.WOULD_CHANGE and settings.availability:
        return entry.original
    is_at_mirror = entry.state in {ImageState.WOULD_CHANGE, ImageState.MIRRORED}
    return entry.result if is_at_mirror else ""


def _ask_registry(decision: Decision) -> Decision:
    """Return a decision of which the image itself, at its own registry, is the candidate."""
    reference = decision.reference
    if reference is None:
        return decision
    mirror = Mirror(reference.registry)
    rule = Rule(reference.registry, [mirror])
    candidate = Candidate(reference, ((rule, mirror),), str(reference))
    return decision._replace(rule=rule, candidates=(candidate,), candidate=candidate)


def _update_entry(entry: AuditEntry, name: str, probed: ProbedDecision) -> AuditEntry:
    decision = probed.decision
    if name != entry.result:
        state = STATES[decision.outcome]
        entry = entry._replace(state=state, result=decision.image, reason=decision.reason)
    if any(each.check.is_present for each in probed.candidates):
        return entry
    found = "; ".join(f"{each.image} {each.check.reason}" for each in probed.candidates)
    reason = f"no mirror is known to have it: {found}"
    return entry._replace(state=ImageState.NOT_IN_MIRROR, reason=reason)
