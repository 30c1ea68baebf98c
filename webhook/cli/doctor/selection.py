"""Which Pods webhooks and policies select, and how to change that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.cli.doctor.report import Finding, report_note, report_wrong
from webhook.kube import find_mismatches
from webhook.objects import OPT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.cli.doctor.installation import Labels, Rewriter
    from webhook.kube.selectors import Requirement

__all__ = [
    "NAME",
    "explain_exclusion",
    "explain_no_rewriter",
]

NAME: Final = "kubernetes.io/metadata.name"
# Labels that the chart excludes; their operators would replace a rewritten Pod endlessly.
OPERATORS: Final = {
    "cnpg.io/podRole": "the operator CloudNativePG",
    "application": "the Postgres operator",
    "olm.catalogSource": "the operator OLM",
    "aerospike.com/cr": "the Aerospike operator",
    "kubevirt.io": "the operator KubeVirt",
}
SPILO: Final = ("spilo",)


def explain_no_rewriter(rewriters: Iterable[Rewriter], namespace: str, labels: Labels) -> Finding:
    """Return why nothing handles the Pods of a namespace, and what changes that.

    Of several webhooks and policies, the one that needs the fewest changes counts.
    """
    labels = {NAME: namespace, **labels}
    kinds = {each.noun.removeprefix("the ") for each in rewriters}
    own = [each for each in rewriters if each.namespace == namespace]
    plans = [
        (find_mismatches(each.namespace_selector, labels), each)
        for each in rewriters
        if each not in own
    ]
    text = f"no {' and no '.join(sorted(kinds))} handles the Pods of {namespace}"
    if not plans:
        return report_note(
            "namespace",
            f"{text}, as it is the namespace of mirrorhook itself, which never waits for itself",
            "create the Pods in another namespace",
        )
    unmet, rewriter = min(
        plans, key=lambda plan: (sum(e.key == NAME for e in plan[0]), len(plan[0]))
    )
    reasons = "; ".join(each.explain(labels) for each in unmet)
    steps = [_explain_name(each, namespace) for each in unmet if each.key == NAME]
    arguments = [each.make_argument() for each in unmet if each.key != NAME]
    if steps:
        steps[-1] += f", and run {rewriter.upgrade}"
    if arguments:
        steps.append(f"kubectl label namespace {namespace} {' '.join(arguments)} --overwrite")
    if any(each.key not in {NAME, OPT_OUT} for each in unmet):
        steps.append("or change selection.namespaceSelector in the values")
    return report_wrong("namespace", f"{text}: {reasons}", "; ".join(steps))


def _explain_name(requirement: Requirement, namespace: str) -> str:
    """Return the change of the chart's values that makes a namespace selected by its name."""
    if requirement.operator == "In":
        return f"add {namespace} to selection.namespaces in the values"
    return f"remove {namespace} from selection.excludedNamespaces in the values"


def explain_exclusion(rewriters: Iterable[Rewriter], labels: Labels) -> Finding:
    """Return why webhooks and policies that handle a namespace exclude a Pod with these labels."""
    unmet, rewriter = min(
        ((find_mismatches(each.object_selector, labels), each) for each in rewriters),
        key=lambda plan: len(plan[0]),
    )
    reasons = "; ".join(each.explain(labels) for each in unmet)
    text = f"its labels exclude it from {rewriter.noun}: {reasons}"
    operators = [OPERATORS[each.key] for each in unmet if _is_of_operator(each)]
    if operators:
        return report_note(
            "Pod",
            f"{text}; otherwise {' and '.join(operators)}, which compares images, would replace it "
            "endlessly",
            "name the mirror in the resource that the operator reads (docs/install.md)",
        )
    arguments = " ".join(each.make_argument() for each in unmet)
    return report_note(
        "Pod",
        text,
        f"set {arguments} in the labels of the Pod's template, or change selection.objectSelector "
        f"in the values and run {rewriter.upgrade}; then recreate the Pod",
    )


def _is_of_operator(requirement: Requirement) -> bool:
    if requirement.operator not in {"NotIn", "DoesNotExist"} or requirement.key not in OPERATORS:
        return False
    return requirement.key != "application" or requirement.values == SPILO
