"""Policies that the API server evaluates itself, without a webhook (`mutating`_).

The same variables serve two kinds: a MutatingAdmissionPolicy rewrites images, and a
ValidatingAdmissionPolicy refuses those that are not rewritten. The rules are in the policy
itself, or in a ConfigMap that is its parameter.

.. _mutating: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from webhook.render.cel import (
    MESSAGE,
    UNMIRRORED,
    make_patch,
    make_record_variables,
    make_variables,
)
from webhook.render.output import (
    RenderedFile,
    RenderResult,
    WarningCollector,
    warn_of_mirrors,
    warn_of_regexes,
)
from webhook.render.policy_table import make_policy_table, to_cel_literal
from webhook.render.prefix_table import make_prefix_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from webhook.core import Rule

__all__ = ["ApiVersion", "PolicyOptions", "Selection", "render_enforcement", "render_policy"]

PATH: Final = "policy.yaml"
GROUP: Final = "admissionregistration.k8s.io"
# `mirrorhook doctor` finds these policies by it, and those of the chart.
OWN_LABEL: Final = "app.kubernetes.io/name: mirrorhook"
OPT_OUT: Final = "mirrorhook.io/rewrite"
PARAMETER: Final = "params.?data.orValue({})"
CONSTRAINTS: Final = """\
  matchConstraints:
    resourceRules:
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [CREATE, UPDATE]
        resources: [pods]
        scope: Namespaced
      - apiGroups: [""]
        apiVersions: [v1]
        operations: [UPDATE]
        resources: [pods/ephemeralcontainers]
        scope: Namespaced
  matchConditions:"""
NO_MIRROR_POD: Final = "!object.?metadata.?annotations[?'kubernetes.io/config.mirror'].hasValue()"
NOT_OPTED_OUT: Final = (
    f"object.?metadata.?annotations[?'{OPT_OUT}'].orValue('') != 'disabled' &&\n"
    f"object.?metadata.?labels[?'{OPT_OUT}'].orValue('') != 'disabled'"
)
NEW_CONTAINERS: Final = (
    "request.operation != 'UPDATE' ||\n"
    "['containers', 'initContainers', 'ephemeralContainers']\n"
    "  .exists(field, object.?spec[?field] != oldObject.?spec[?field])"
)


class ApiVersion(StrEnum):
    """Version of MutatingAdmissionPolicy: on by default since Kubernetes 1.36; before, by gate."""

    V1 = "v1"
    V1BETA1 = "v1beta1"


class Selection(StrEnum):
    """The namespaces that a policy is bound to, as in the chart."""

    OPT_IN = "opt-in"
    ALL = "all"


SELECTORS: Final = {
    Selection.OPT_IN: f"""\
  matchResources:
    namespaceSelector:
      matchLabels:
        {OPT_OUT}: enabled""",
    Selection.ALL: f"""\
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {{key: {OPT_OUT}, operator: NotIn, values: [disabled]}}
        - {{key: kubernetes.io/metadata.name, operator: NotIn, \
values: [kube-system, kube-public, kube-node-lease]}}""",
}


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What a policy needs besides the rules.

    Attributes:
        name: Name of the policy, and of its binding.
        api_version: Version of MutatingAdmissionPolicy.
        selection: The namespaces that it is bound to.
        record: Whether to write the original images into an annotation of the Pod.
        warn: Whether an enforcement only warns.
        params: Namespace of a ConfigMap for the rules; empty to have them in the policy.
    """

    name: str = "mirrorhook"
    api_version: ApiVersion = ApiVersion.V1
    selection: Selection = Selection.OPT_IN
    record: bool = True
    warn: bool = False
    params: str = ""


def render_policy(rules: Sequence[Rule], options: PolicyOptions) -> RenderResult:
    """Return a MutatingAdmissionPolicy that rewrites images, and its binding.

    Raises:
        InvalidRuleError: The rules are too many for the API server.
    """
    return _render(
        "MutatingAdmissionPolicy",
        str(options.api_version),
        rules,
        options,
        failure=[
            "  # If the policy fails, the Pod is admitted unchanged.",
            "  failurePolicy: Ignore",
            "  reinvocationPolicy: IfNeeded",
        ],
        conditions={
            "is-no-mirror-pod": NO_MIRROR_POD,
            "is-not-opted-out": NOT_OPTED_OUT,
            "has-new-containers": NEW_CONTAINERS,
        },
        variables=make_record_variables() if options.record else {},
        action=[
            "  mutations:",
            "    - patchType: JSONPatch",
            "      jsonPatch:",
            *_format_block("expression", make_patch(record=options.record), 8),
        ],
        binding=[],
        not_found="Allow",
    )


def render_enforcement(rules: Sequence[Rule], options: PolicyOptions) -> RenderResult:
    """Return a ValidatingAdmissionPolicy that refuses unmirrored images, and its binding.

    Raises:
        InvalidRuleError: The rules are too many for the API server.
    """
    return _render(
        "ValidatingAdmissionPolicy",
        "v1",
        rules,
        options,
        failure=["  failurePolicy: Fail"],
        conditions={"is-no-mirror-pod": NO_MIRROR_POD, "has-new-containers": NEW_CONTAINERS},
        variables={"unmirrored": UNMIRRORED},
        action=[
            "  validations:",
            "    - expression: variables.unmirrored.size() == 0",
            "      reason: Forbidden",
            *_format_block("messageExpression", MESSAGE, 6),
        ],
        binding=[f"  validationActions: [{'Warn, Audit' if options.warn else 'Deny'}]"],
        not_found="Deny",
    )


def _render(
    kind: str,
    version: str,
    rules: Sequence[Rule],
    options: PolicyOptions,
    *,
    failure: Iterable[str],
    conditions: Mapping[str, str],
    variables: Mapping[str, str],
    action: Iterable[str],
    binding: Iterable[str],
    not_found: str,
) -> RenderResult:
    """Return a policy, its binding, and the ConfigMap of the rules if there is one.

    *failure*, *variables*, *action* and *binding* are what the two kinds of policies do not
    have in common; *not_found* is what happens to a Pod if the ConfigMap is missing.
    """
    warnings = WarningCollector()
    warn_of_regexes(rules, warnings)
    warn_of_mirrors(rules, warnings)
    table = make_policy_table(make_prefix_table(rules, complete=True))
    lines = [
        *_format_head(kind, version, options.name),
        *failure,
        *(["  paramKind: {apiVersion: v1, kind: ConfigMap}"] if options.params else []),
        CONSTRAINTS,
    ]
    for name, expression in conditions.items():
        lines += _format_expression(name, expression)
    lines.append("  variables:")
    given = PARAMETER if options.params else to_cel_literal(table)
    for name, expression in {"table": given, **make_variables(), **variables}.items():
        lines += _format_expression(name, expression)
    lines += [
        *action,
        "---",
        *_format_head(f"{kind}Binding", version, options.name),
        f"  policyName: {options.name}",
        *binding,
    ]
    if options.params:
        lines += [
            "  paramRef:",
            f"    name: {options.name}-rules",
            f"    namespace: {options.params}",
            f"    parameterNotFoundAction: {not_found}",
        ]
    lines.append(SELECTORS[options.selection])
    if options.params:
        lines += _format_config_map(table, options)
    return RenderResult((RenderedFile(PATH, "\n".join([*lines, ""])),), warnings.collect())


def _format_head(kind: str, version: str, name: str) -> Iterator[str]:
    yield f"apiVersion: {GROUP}/{version}"
    yield f"kind: {kind}"
    yield "metadata:"
    yield f"  name: {name}"
    yield f"  labels: {{{OWN_LABEL}}}"
    yield "spec:"


def _format_config_map(table: Mapping[str, str], options: PolicyOptions) -> Iterator[str]:
    yield "---"
    yield "apiVersion: v1"
    yield "kind: ConfigMap"
    yield "metadata:"
    yield f"  name: {options.name}-rules"
    yield f"  namespace: {options.params}"
    yield "data:"
    for key, targets in table.items():
        yield f'  "{key}": "{targets}"'


def _format_expression(name: str, expression: str) -> Iterator[str]:
    yield f"    - name: {name}"
    yield from _format_block("expression", expression, 6)


def _format_block(key: str, text: str, spaces: int) -> Iterator[str]:
    """Yield the lines of a YAML block under a key."""
    yield f"{' ' * spaces}{key}: |-"
    for line in text.split("\n"):
        yield f"{' ' * (spaces + 2)}{line}"
