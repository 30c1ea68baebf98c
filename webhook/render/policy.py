"""Policies that the API server evaluates itself, without a webhook (`mutating`_).

The same variables serve two kinds: a MutatingAdmissionPolicy rewrites images, and a
ValidatingAdmissionPolicy refuses those that were to be rewritten. The rules are in the
policy, or in a ConfigMap that is its parameter.

.. _mutating: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.render.cel import depths, domains, images, slots
from webhook.render.entries import entries_of
from webhook.render.manifest import (
    block,
    conditions,
    constraints,
    head,
    parameter,
    parameter_kind,
    parameter_reference,
    selected,
)
from webhook.render.omissions import note_mirrors, note_regexes
from webhook.render.output import Deviations, File, Rendered
from webhook.render.patching import patch
from webhook.render.table import literal, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from webhook.core import Rule
    from webhook.render.manifest import PolicyOptions

__all__ = ["render_enforcement", "render_policy", "variables"]

PATH: Final = "policy.yaml"
PARAMETER: Final = "params.?data.orValue({})"
MESSAGE: Final = "'these images are not from a mirror: ' + variables.unmirrored.join(', ')"

UNMIRRORED: Final = "variables.images.transformList(i, new, new != '', variables.slots[i])"


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
