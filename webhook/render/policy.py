"""Policies that the API server evaluates itself, without a webhook (`mutating`_).

The same variables serve two kinds: a MutatingAdmissionPolicy rewrites images, and a
ValidatingAdmissionPolicy refuses those that were to be rewritten. The rules are in the
policy, or in a ConfigMap that is its parameter.

.. _mutating: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from webhook.render.cel import depths, domains, images, patch, slots
from webhook.render.output import Deviations, File, Rendered, note_mirrors, note_regexes
from webhook.render.policy_table import literal, table_of
from webhook.render.prefix_table import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from webhook.core import Rule

__all__ = [
    "ApiVersion",
    "PolicyOptions",
    "Selection",
    "block",
    "conditions",
    "constraints",
    "head",
    "parameter",
    "parameter_kind",
    "parameter_reference",
    "render_enforcement",
    "render_policy",
    "selected",
    "variables",
]

PATH: Final = "policy.yaml"
PARAMETER: Final = "params.?data.orValue({})"
MESSAGE: Final = "'these images are not from a mirror: ' + variables.unmirrored.join(', ')"

UNMIRRORED: Final = "variables.images.transformList(i, new, new != '', variables.slots[i])"
GROUP: Final = "admissionregistration.k8s.io"
# By it `mirrorhook doctor` finds them, and those of the chart.
OURS: Final = "app.kubernetes.io/name: mirrorhook"
LABEL: Final = "mirrorhook.io/rewrite"
SYSTEM: Final = ("kube-system", "kube-public", "kube-node-lease")


def render_policy(rules: Sequence[Rule], options: PolicyOptions) -> Rendered:
    """Return a MutatingAdmissionPolicy that rewrites images, and its binding.

    Args:
        rules: The rules, as a map of mirrors holds them.
        options: What else is to be said.

    Raises:
        InvalidRuleError: The rules are too many for the API server.
    """
    deviations = Deviations()
    table = table_for(rules, deviations)
    lines = [
        *head("MutatingAdmissionPolicy", str(options.api_version), options.name),
        "  # A Pod that the API server cannot decide on is admitted as it is.",
        "  failurePolicy: Ignore",
        "  reinvocationPolicy: IfNeeded",
        *parameter_kind(options),
        *constraints(),
        *conditions(opt_out=True),
        *variable_lines(table, options),
        "  mutations:",
        "    - patchType: JSONPatch",
        "      jsonPatch:",
        *block("expression", patch(record=options.record), 8),
        "---",
        *head("MutatingAdmissionPolicyBinding", str(options.api_version), options.name),
        f"  policyName: {options.name}",
        *parameter_reference(options, "Allow"),
        *selected(options.selection),
        *parameter(table, options),
    ]
    return Rendered((File(PATH, "\n".join([*lines, ""])),), deviations())


def render_enforcement(rules: Sequence[Rule], options: PolicyOptions) -> Rendered:
    """Return a ValidatingAdmissionPolicy that refuses unmirrored images, and its binding.

    Raises:
        InvalidRuleError: As `render_policy`.
    """
    deviations = Deviations()
    table = table_for(rules, deviations)
    lines = [
        *head("ValidatingAdmissionPolicy", "v1", options.name),
        "  failurePolicy: Fail",
        *parameter_kind(options),
        *constraints(),
        *conditions(opt_out=False),
        *variable_lines(table, options),
        "    - name: unmirrored",
        *block("expression", UNMIRRORED, 6),
        "  validations:",
        "    - expression: variables.unmirrored.size() == 0",
        "      reason: Forbidden",
        *block("messageExpression", MESSAGE, 6),
        "---",
        *head("ValidatingAdmissionPolicyBinding", "v1", options.name),
        f"  policyName: {options.name}",
        f"  validationActions: [{'Warn, Audit' if options.warn else 'Deny'}]",
        *parameter_reference(options, "Deny"),
        *selected(options.selection),
        *parameter(table, options),
    ]
    return Rendered((File(PATH, "\n".join([*lines, ""])),), deviations())


def table_for(rules: Sequence[Rule], deviations: Deviations) -> dict[str, str]:
    """Return the table of *rules*; what it cannot say is noted."""
    note_regexes(rules, deviations)
    note_mirrors(rules, deviations)
    return table_of(entries_of(rules, every=True))


def variables() -> dict[str, str]:
    """Return the expressions of the variables, which use the table and are the same for any."""
    return {
        "depths": depths(),
        "domains": domains(),
        "slots": slots(),
        "images": images(),
    }


def variable_lines(table: Mapping[str, str], options: PolicyOptions) -> Iterator[str]:
    """Yield the lines of the variables."""
    yield "  variables:"
    given = PARAMETER if options.params else literal(table)
    for name, expression in {"table": given, **variables()}.items():
        yield f"    - name: {name}"
        yield from block("expression", expression, 6)


class ApiVersion(StrEnum):
    """Version of MutatingAdmissionPolicy: on by default from Kubernetes 1.36; before, by gate."""

    V1 = "v1"
    V1BETA1 = "v1beta1"


class Selection(StrEnum):
    """Which namespaces a policy is bound to, as in the chart."""

    OPT_IN = "opt-in"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What a policy in a cluster needs to know besides the rules.

    Attributes:
        name: Name of the policy, and of its binding.
        api_version: Version of MutatingAdmissionPolicy.
        selection: Which namespaces it is for.
        record: Write the images as they were into an annotation of the Pod.
        warn: Only warn of images that an enforcement would refuse.
        params: Namespace of a ConfigMap for the rules; without one they are in the policy.
    """

    name: str = "mirrorhook"
    api_version: ApiVersion = ApiVersion.V1
    selection: Selection = Selection.OPT_IN
    record: bool = True
    warn: bool = False
    params: str = ""


def parameter_kind(options: PolicyOptions) -> Iterator[str]:
    """Yield the line of a policy that says what its parameter is, if it has one."""
    if options.params:
        yield "  paramKind: {apiVersion: v1, kind: ConfigMap}"


def parameter_reference(options: PolicyOptions, missing: str) -> Iterator[str]:
    """Yield the lines of a binding that name its parameter, if it has one.

    Args:
        options: What is said besides the rules.
        missing: What becomes of a Pod where there is no such ConfigMap.
    """
    if options.params:
        yield "  paramRef:"
        yield f"    name: {options.name}-rules"
        yield f"    namespace: {options.params}"
        yield f"    parameterNotFoundAction: {missing}"


def parameter(table: Mapping[str, str], options: PolicyOptions) -> Iterator[str]:
    """Yield the lines of the ConfigMap of the rules, if they are to be in one."""
    if not options.params:
        return
    yield "---"
    yield "apiVersion: v1"
    yield "kind: ConfigMap"
    yield "metadata:"
    yield f"  name: {options.name}-rules"
    yield f"  namespace: {options.params}"
    yield "data:"
    for key, targets in table.items():
        yield f'  "{key}": "{targets}"'


def head(kind: str, version: str, name: str) -> Iterator[str]:
    """Yield the lines that an object begins with."""
    yield f"apiVersion: {GROUP}/{version}"
    yield f"kind: {kind}"
    yield "metadata:"
    yield f"  name: {name}"
    yield f"  labels: {{{OURS}}}"
    yield "spec:"


def constraints() -> Iterator[str]:
    """Yield the lines that say which requests are looked at."""
    yield "  matchConstraints:"
    yield "    resourceRules:"
    for operations, resource in (
        ("CREATE, UPDATE", "pods"),
        ("UPDATE", "pods/ephemeralcontainers"),
    ):
        yield '      - apiGroups: [""]'
        yield "        apiVersions: [v1]"
        yield f"        operations: [{operations}]"
        yield f"        resources: [{resource}]"
        yield "        scope: Namespaced"


def conditions(*, opt_out: bool) -> Iterator[str]:
    """Yield the lines of the conditions without which nothing is evaluated.

    Args:
        opt_out: Whether a Pod can be taken out by a label or annotation of its own.
    """
    annotation = "object.?metadata.?annotations[?'{}']".format
    label = f"object.?metadata.?labels[?'{LABEL}']"
    yield "  matchConditions:"
    yield "    - name: is-no-mirror-pod"
    mirror_pod = f"!{annotation('kubernetes.io/config.mirror')}.hasValue()"
    yield from block("expression", mirror_pod, 6)
    if opt_out:
        yield "    - name: is-not-opted-out"
        expression = (
            f"{annotation(LABEL)}.orValue('') != 'disabled' &&\n{label}.orValue('') != 'disabled'"
        )
        yield from block("expression", expression, 6)
    yield "    - name: has-new-containers"
    expression = (
        "request.operation != 'UPDATE' ||\n"
        "['containers', 'initContainers', 'ephemeralContainers']\n"
        "  .exists(field, object.?spec[?field] != oldObject.?spec[?field])"
    )
    yield from block("expression", expression, 6)


def selected(selection: Selection) -> Iterator[str]:
    """Yield the lines of a binding that say which namespaces it is for."""
    yield "  matchResources:"
    yield "    namespaceSelector:"
    if selection is Selection.OPT_IN:
        yield "      matchLabels:"
        yield f"        {LABEL}: enabled"
        return
    yield "      matchExpressions:"
    yield f"        - {{key: {LABEL}, operator: NotIn, values: [disabled]}}"
    yield (
        "        - {key: kubernetes.io/metadata.name, operator: NotIn, "
        f"values: [{', '.join(SYSTEM)}]}}"
    )


def block(key: str, text: str, spaces: int) -> Iterator[str]:
    """Yield the lines of a text of several lines under a key of YAML."""
    yield f"{' ' * spaces}{key}: |-"
    for line in text.split("\n"):
        yield f"{' ' * (spaces + 2)}{line}"
