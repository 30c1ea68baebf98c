"""Whether the API server calls the webhook for the Pods of a namespace, where it may be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from webhook.kube import (
    ClusterError,
    ForbiddenError,
    NotFoundError,
    describe_requirements,
    find_mismatch,
)
from webhook.objects import OPT_OUT, opt_out_reason, read_pod

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from webhook.kube import WebhookSelection
    from webhook.kube.cluster import Cluster

__all__ = ["REMOVE_OPT_OUT", "SelectionView", "describe_selection"]

NAME_LABEL: Final = "kubernetes.io/metadata.name"  # every namespace has it
REMOVE_OPT_OUT: Final = (
    f"to rewrite it, remove {OPT_OUT} from the Pod, or from the template of its owner"
)
RECREATE: Final = "to rewrite it, recreate the Pod"
EXCLUDED: Final = "its labels exclude it from the webhook: {mismatches}"
OLDER: Final = "it was created at {time}, before the reviews that are known"
NOT_REVIEWED: Final = (
    "it was created at {time}, but no review of it came: a condition excluded it, or the webhook "
    "was not reached"
)
NO_NAMESPACE: Final = "there is no namespace {name}"
UNREADABLE: Final = (
    "the webhook selects namespaces by their labels, which this replica may not read: "
    "kubectl get namespace {name} --show-labels"
)


@dataclass(frozen=True, slots=True)
class SelectionView:
    """Whether the API server calls the webhook for the Pods of a namespace.

    Attributes:
        selected: Whether the namespace is selected; None if that could not be found out.
        reason: Why, or why it is unknown; empty if it is selected.
        next: How to select it; empty if nothing is known to do.
        namespaces: What the webhook requires of the labels of a namespace, if it is unknown
            whether this one has them: one list for each webhook.
        pods: What the webhook requires of the labels of a Pod.
        conditions: The names of the conditions that a request must meet as well.
        pod: Why no review of the Pod came; empty if that is unknown.
        pod_next: What to do about that; empty if nothing is known to do.
    """

    selected: bool | None
    reason: str
    next: str
    namespaces: list[list[str]]
    pods: list[str]
    conditions: list[str]
    pod: str = ""
    pod_next: str = ""


async def describe_selection(
    cluster: Cluster, configuration: str, namespace: str, pod: str, since: datetime
) -> SelectionView:
    """Return whether the API server calls the webhook for a Pod.

    Args:
        cluster: Reads the objects.
        configuration: The configuration of the webhook.
        namespace: The namespace of the Pod.
        pod: Its name; empty for no Pod.
        since: Since when all reviews of the namespace are known.
    """
    try:
        webhooks = await cluster.list_webhook_selections(configuration)
    except NotFoundError:
        reason = (
            f"MutatingWebhookConfiguration {configuration} does not exist, so the API server "
            "calls no webhook"
        )
        return SelectionView(False, reason, "install the chart again", [], [], [])
    except ClusterError as error:
        return SelectionView(None, str(error), "", [], [], [])
    labels: Mapping[str, str] | None
    try:
        labels = {**await cluster.get_namespace_labels(namespace), NAME_LABEL: namespace}
    except NotFoundError:
        reason = NO_NAMESPACE.format(name=namespace)
        return SelectionView(False, reason, "kubectl get namespaces", [], [], [])
    except ForbiddenError:
        labels = None
    except ClusterError as error:
        return SelectionView(None, str(error), "", [], [], [])
    selection, candidates = _judge(webhooks, namespace, labels)
    if not pod:
        return selection
    try:
        found = await cluster.get_pod(namespace, pod)
    except NotFoundError:
        step = f"kubectl get pods --namespace {namespace}"
        return replace(selection, pod=f"there is no Pod {namespace}/{pod}", pod_next=step)
    except ClusterError:
        return selection
    reason, step = _judge_pod(found, candidates, since)
    return replace(selection, pod=reason, pod_next=step)


def _judge_pod(
    pod: dict[str, Any], candidates: list[WebhookSelection], since: datetime
) -> tuple[str, str]:
    """Return why no review of a Pod came, and what to do about it; *candidates* may select it."""
    metadata = read_pod(pod).metadata
    opted_out = opt_out_reason(metadata)
    if opted_out:
        return opted_out, REMOVE_OPT_OUT if OPT_OUT in opted_out else ""
    if not candidates:
        return "", ""
    labels = {key: value or "" for key, value in ((metadata and metadata.labels) or {}).items()}
    mismatches = [find_mismatch(each.pods, labels) for each in candidates]
    if all(mismatches):
        return EXCLUDED.format(mismatches="; ".join(sorted(set(mismatches)))), ""
    created = pod["metadata"].get("creationTimestamp") or ""
    if created and datetime.fromisoformat(created) < since:
        return OLDER.format(time=created), RECREATE
    return NOT_REVIEWED.format(time=created), ""


def _judge(
    webhooks: list[WebhookSelection], namespace: str, labels: Mapping[str, str] | None
) -> tuple[SelectionView, list[WebhookSelection]]:
    """Return whether webhooks select a namespace, and which may; *labels* may be unknown."""
    candidates, mismatches = [], set()
    for each in webhooks:
        selector = each.namespaces if labels is not None else _select_by_name(each.namespaces)
        mismatch = find_mismatch(selector, labels or {NAME_LABEL: namespace})
        if mismatch:
            mismatches.add(mismatch)
        else:
            candidates.append(each)
    if not candidates:
        reason = f"no webhook handles the Pods of {namespace}: {'; '.join(sorted(mismatches))}"
        step = ""
        if OPT_OUT in reason:
            step = f"kubectl label namespace {namespace} {OPT_OUT}=enabled --overwrite"
        return SelectionView(False, reason, step, [], [], []), []
    pods = {text: None for each in candidates for text in describe_requirements(each.pods)}
    conditions = {name: None for each in candidates for name in each.conditions}
    required = [
        [text for text in describe_requirements(each.namespaces) if NAME_LABEL not in text]
        for each in candidates
    ]
    if labels is None and all(required):
        reason = UNREADABLE.format(name=namespace)
        return SelectionView(None, reason, "", required, [*pods], [*conditions]), candidates
    return SelectionView(True, "", "", [], [*pods], [*conditions]), candidates


def _select_by_name(selector: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a namespaceSelector that the name of a namespace decides."""
    equal = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return {
        "matchLabels": {key: value for key, value in equal.items() if key == NAME_LABEL},
        "matchExpressions": [each for each in expressions if each["key"] == NAME_LABEL],
    }
