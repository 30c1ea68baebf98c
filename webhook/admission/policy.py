"""The outcome table of the webhook: which requests are skipped, and what happens to the others.

Pods with the same images have the same plan, which is made once and kept.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import msgspec
from msgspec import UNSET

from webhook.admission.loop_detector import LoopDetector, keep_originals
from webhook.admission.request import MAX_VALUES
from webhook.admission.response import ReviewOutcome, ReviewResult
from webhook.core import Outcome
from webhook.core.errors import shorten
from webhook.objects import (
    EPHEMERAL_CONTAINERS,
    VOLUMES,
    ImageDecision,
    ImageField,
    Pod,
    add_pull_secrets,
    decide_images,
    explain_missing_secrets,
    find_images,
    find_stale_originals,
    has_room_for_originals,
    opt_out_reason,
    record_originals,
    replace_images,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from webhook.admission.request import AdmissionRequest
    from webhook.core import Decision
    from webhook.objects import PodSpec

__all__ = ["Plan", "PlanCache", "Policy", "Selector", "apply_policy", "estimate_bytes"]

EPHEMERAL_SUBRESOURCE: Final = "ephemeralcontainers"
# Image fields that a request brings in. Real Pods have fewer than 100; the slowest images take
# 0.2 ms each, and no review may hold up the others for more than 100 ms.
MAX_IMAGES: Final = 300
MAX_SHOWN: Final = 64
# Of all plans, and of one: clusters create Pods with the same images again and again.
MAX_BYTES: Final = 3 * 1024 * 1024
MAX_PLAN_BYTES: Final = 256 * 1024


class Selector(Protocol):
    """Selects among the candidates of images by what their registries have."""

    async def choose(self, decisions: Sequence[Decision], seconds: float) -> list[Decision]:
        """Return the decisions on some images, in their order.

        Args:
            decisions: What the rules decide, as if every mirror had every image.
            seconds: How long the answer may take.
        """


class Plan(NamedTuple):
    """The decisions on the images of a Pod by the rules and by the selector, and the result."""

    images: list[ImageDecision]
    chosen: list[ImageDecision]
    result: ReviewResult


class PlanCache:
    """Keeps the plans that were used last, as many as fit into `MAX_BYTES`."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Hashable, tuple[Plan, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[Hashable, Hashable]) -> Plan | None:
        """Return the plan for a policy and a Pod, or None."""
        plan, _ = self._plans.get(key, (None, 0))
        if plan is not None:
            self._plans.move_to_end(key)
        return plan

    def put(self, key: tuple[Hashable, Hashable], plan: Plan) -> None:
        """Keep the plan for a policy and a Pod, unless it is larger than `MAX_PLAN_BYTES`."""
        self._bytes -= self._plans.pop(key, (plan, 0))[1]
        size = estimate_bytes(key[1], plan)
        if size <= MAX_PLAN_BYTES:
            self._plans[key] = plan, size
            self._bytes += size
        while self._bytes > MAX_BYTES:
            self._bytes -= self._plans.popitem(last=False)[1][1]


@dataclass(frozen=True, slots=True)
class Policy:
    """How one set of rules is applied to requests.

    Attributes:
        name: Its name, the last part of the path it is served at.
        decide: Decides on one image, always in the same way.
        observe: Decide only, and patch nothing.
        record: Write the original images into an annotation of the Pod.
        selector: Selects among mirrors by availability; None takes the first candidate.
        loop_detector: Notices owners that keep recreating the same Pod; None for no detection.
        plan_cache: Keeps the results for the latest Pods; policies may share one.
        find_variant: Returns the policy that a namespace has instead; None if none has one.
    """

    name: str
    decide: Callable[[str], Decision]
    observe: bool = False
    record: bool = True
    selector: Selector | None = None
    loop_detector: LoopDetector | None = None
    plan_cache: PlanCache = field(default_factory=PlanCache, repr=False, compare=False)
    find_variant: Callable[[str], Policy | None] | None = None


async def apply_policy(
    policy: Policy, request: AdmissionRequest, seconds: float, client: str
) -> ReviewResult:
    """Return the result of a request under a policy.

    Args:
        policy: The policy.
        request: The request.
        seconds: How long the answer may take.
        client: The address that the request came from.
    """
    pod = request.object
    reason = skip_reason(request)
    if reason or pod is None:
        return ReviewResult(ReviewOutcome.SKIPPED, reason)
    if pod is UNSET:
        return _skip_excess(f"the review has more than {MAX_VALUES:,} values")
    key = _make_plan_key(policy, request, pod)
    plan = policy.plan_cache.get(key) if key else None
    if plan:
        images = plan.images
    else:
        fields = _find_new_images(request, pod)
        if len(fields) > MAX_IMAGES:
            return _skip_excess(f"it has {len(fields):,} images, more than {MAX_IMAGES}")
        images = decide_images(fields, policy.decide)
    chosen = images
    if policy.selector is not None:
        decisions = await policy.selector.choose([each.decision for each in images], seconds)
        chosen = [
            ImageDecision(each.field, new) for each, new in zip(images, decisions, strict=True)
        ]
    if plan and chosen == plan.chosen:
        result = plan.result
    else:
        result = _patch_images(policy, request, pod, chosen)
        if key:
            policy.plan_cache.put(key, Plan(images, chosen, result))
    detector = policy.loop_detector
    if detector and result.outcome is ReviewOutcome.PATCHED and request.operation == "CREATE":
        reason = detector.check(request, chosen, client)
        if reason:
            return _patch_images(policy, request, pod, keep_originals(chosen, reason))
    return result


def skip_reason(request: AdmissionRequest) -> str:
    """Return why the images of a request are not looked at; empty if they are."""
    kind = request.kind
    if kind is None or kind.kind != "Pod" or kind.group:
        return "it is not a Pod"
    if request.operation not in ("CREATE", "UPDATE"):
        return f"the operation is {shorten(request.operation or 'missing', MAX_SHOWN)}"
    if request.sub_resource and request.sub_resource != EPHEMERAL_SUBRESOURCE:
        return f"the subresource is {shorten(request.sub_resource, MAX_SHOWN)}"
    if request.object is UNSET:
        return ""
    if request.object is None:
        return "it has no object"
    if request.operation == "UPDATE" and request.old_object is None:
        return "it is an UPDATE without oldObject"
    return opt_out_reason(request.object.metadata)


def _skip_excess(reason: str) -> ReviewResult:
    """Return the result for a Pod that is too large to review."""
    warning = f"mirrorhook: no image was changed: {reason}"
    return ReviewResult(ReviewOutcome.SKIPPED, reason, warning=warning)


def _make_plan_key(
    policy: Policy, request: AdmissionRequest, pod: Pod
) -> tuple[Hashable, Hashable] | None:
    """Return everything that the result for a new Pod depends on; None for unusual Pods.

    Volumes without an image count by their position only: the one with the token of the
    service account has a new name in each Pod.
    """
    metadata, spec = pod.metadata, pod.spec
    if (
        request.operation != "CREATE"
        or request.sub_resource
        or spec is None
        or spec.image_pull_secrets is UNSET
        or not has_room_for_originals(metadata)
    ):
        return None
    return (policy.decide, policy.observe, policy.record), (
        spec.containers,
        spec.init_containers,
        spec.ephemeral_containers,
        tuple([volume.image and volume for volume in spec.volumes or ()]),
        spec.image_pull_secrets,
        metadata.annotations is None,
    )


def _find_new_images(request: AdmissionRequest, pod: Pod) -> list[ImageField]:
    """Return the images that a request brings in.

    On an update these are the images that differ from the old ones, as a change of any other
    would restart its container. Ephemeral containers and volumes cannot be changed.
    """
    images = find_images(pod.spec) if pod.spec else []
    old = request.old_object
    if request.operation == "CREATE" or not isinstance(old, Pod):
        return images
    before = {
        (image.section, image.name): image.image
        for image in (find_images(old.spec) if old.spec else ())
    }
    if request.sub_resource:
        return [
            image
            for image in images
            if image.section == EPHEMERAL_CONTAINERS and (image.section, image.name) not in before
        ]
    return [
        image
        for image in images
        if image.section != VOLUMES and before.get((image.section, image.name)) != image.image
    ]


def _patch_images(
    policy: Policy, request: AdmissionRequest, pod: Pod, images: Sequence[ImageDecision]
) -> ReviewResult:
    """Return the result that writes the chosen images, unless the policy only observes."""
    operations = replace_images(images)
    outcome = ReviewOutcome.PATCHED if operations else ReviewOutcome.UNCHANGED
    if policy.observe:
        if not operations:
            return ReviewResult(outcome, images=tuple(images))
        observed = tuple(ImageDecision(each, decision.observe()) for each, decision in images)
        return ReviewResult(ReviewOutcome.OBSERVED, images=observed)
    if request.operation == "CREATE":
        operations += add_pull_secrets(pod.spec, images)
    elif pod.spec:
        images = [_doubt_pull(pod.spec, image) for image in images]
    # The API server drops changes of metadata that come with ephemeral containers.
    if policy.record and not request.sub_resource:
        stale = find_stale_originals(pod, images, policy.decide)
        operations += record_originals(pod.metadata, images, stale)
    return ReviewResult(outcome, images=tuple(images), operations=tuple(operations))


def _doubt_pull(spec: PodSpec, image: ImageDecision) -> ImageDecision:
    """Return the decision on an image for an existing Pod, which cannot get pull secrets."""
    problem = explain_missing_secrets(spec, [image])
    if not problem:
        return image
    decision = image.decision
    reason = f"{decision.reason}; {problem}"
    return image._replace(decision=decision._replace(outcome=Outcome.UNCONFIRMED, reason=reason))


def estimate_bytes(pod: Hashable, plan: Plan) -> int:
    """Return how many bytes a plan takes at most; a character may take four, in four texts."""
    size = 2048 + 16 * len(msgspec.json.encode(pod))
    size += 2 * (len(plan.result.response) + len(plan.result.decisions))
    for _, decision in plan.images:
        size += 1024
        for candidate in decision.candidates:
            size += 512 + 128 * len(candidate.steps) + 3 * len(candidate.image)
    return size
