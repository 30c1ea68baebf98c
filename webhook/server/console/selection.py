"""Whether the API server calls the webhook for the Pods of a namespace, where it may be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.kube import (
    ClusterError,
    ForbiddenError,
    NotFoundError,
    describe_requirements,
    find_mismatch,
)
from webhook.objects import OPT_OUT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from webhook.kube import WebhookSelection
    from webhook.kube.cluster import Cluster

__all__ = ["SelectionView", "describe_selection"]

NAME_LABEL: Final = "kubernetes.io/metadata.name"  # every namespace has it
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
    """

    selected: bool | None
    reason: str
    next: str
    namespaces: list[list[str]]
    pods: list[str]
    conditions: list[str]


async def describe_selection(cluster: Cluster, configuration: str, namespace: str) -> SelectionView:
    """Return whether the webhooks of a configuration select a namespace."""
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
    return _judge(webhooks, namespace, labels)


def _judge(
    webhooks: list[WebhookSelection], namespace: str, labels: Mapping[str, str] | None
) -> SelectionView:
    """Return whether one of some webhooks selects a namespace; *labels* may be unknown."""
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
        return SelectionView(False, reason, step, [], [], [])
    pods = {text: None for each in candidates for text in describe_requirements(each.pods)}
    conditions = {name: None for each in candidates for name in each.conditions}
    required = [
        [text for text in describe_requirements(each.namespaces) if NAME_LABEL not in text]
        for each in candidates
    ]
    if labels is None and all(required):
        reason = UNREADABLE.format(name=namespace)
        return SelectionView(None, reason, "", required, [*pods], [*conditions])
    return SelectionView(True, "", "", [], [*pods], [*conditions])


def _select_by_name(selector: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a namespaceSelector that the name of a namespace decides."""
    equal = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return {
        "matchLabels": {key: value for key, value in equal.items() if key == NAME_LABEL},
        "matchExpressions": [each for each in expressions if each["key"] == NAME_LABEL],
    }
