"""What is installed of mirrorhook in a cluster: webhooks, policies and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from webhook.cli.doctor.policies import Bound, read_policies
from webhook.cli.doctor.report import Finding, wrong
from webhook.cli.doctor.webhooks import CONFIGURATIONS, OURS, Hook, hooks_of
from webhook.config import Configuration, ConfigurationError, load_rules
from webhook.objects import OPT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.config import PolicySettings
    from webhook.kube.reading import Reader

__all__ = [
    "ADD_A_RULE",
    "Cluster",
    "Labels",
    "Rewriter",
    "obstacle",
    "read_cluster",
    "read_hooks",
    "read_rules",
]

RULES: Final = "rules.yaml"

ADD_A_RULE: Final = (
    "add a rule for it to the values, and helm upgrade; or to the rules of the policy, and "
    "render it again"
)

# A webhook, or a policy that the API server evaluates itself.
Rewriter: TypeAlias = Hook | Bound


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is known of us in a cluster.

    Attributes:
        hooks: The webhooks.
        policies: The policies by the namespace of their release, and their name.
        bound: The policies of the API server, by their bindings.
    """

    hooks: tuple[Hook, ...]
    policies: Mapping[tuple[str, str], PolicySettings]
    bound: tuple[Bound, ...] = ()

    @property
    def rewriters(self) -> tuple[Rewriter, ...]:
        """All that rewrite."""
        return (*self.hooks, *self.bound)

    def settings(self, rewriter: Rewriter) -> PolicySettings | None:
        """Return what a webhook or policy decides by, where it is known."""
        if isinstance(rewriter, Bound):
            return rewriter.settings
        return self.policies.get((rewriter.namespace, rewriter.policy))

    def selecting(self, labels: Labels) -> list[Rewriter]:
        """Return what is asked about the Pods of a namespace."""
        return [each for each in self.rewriters if not obstacle(each.namespaces, labels)]

    def unasked(self, namespace: str, labels: Labels) -> Finding:
        """Return that nothing is asked about the Pods of a namespace, and why.

        Args:
            namespace: Its name.
            labels: Its labels.
        """
        reasons = {obstacle(each.namespaces, labels) for each in self.rewriters}
        kinds = {each.said.removeprefix("the ") for each in self.rewriters}
        return wrong(
            "namespace",
            f"no {' and no '.join(sorted(kinds))} is asked about the Pods of {namespace}: "
            + "; ".join(sorted(reasons)),
            f"kubectl label namespace {namespace} {OPT_OUT}=enabled --overwrite",
        )


def read_hooks(reader: Reader) -> tuple[Hook, ...]:
    """Return our webhooks."""
    found = reader.list(CONFIGURATIONS, OURS)
    return tuple(hook for configuration in found for hook in hooks_of(configuration))


def read_rules(
    reader: Reader, namespace: str
) -> Iterator[tuple[str, Configuration | ConfigurationError]]:
    """Yield the name of each ConfigMap of rules in a namespace, and what is in it."""
    for each in reader.list(f"/api/v1/namespaces/{namespace}/configmaps", OURS):
        data = each.get("data") or {}
        if RULES not in data:
            continue
        # The rules may name other files, which stand beside them there as in a Pod.
        with TemporaryDirectory(prefix="mirrorhook-doctor-") as folder:
            for name, text in data.items():
                Path(folder, name).write_text(text)
            try:
                yield each["metadata"]["name"], load_rules(Path(folder, RULES))
            except ConfigurationError as error:
                yield each["metadata"]["name"], error


def read_cluster(reader: Reader) -> Cluster:
    """Return what is known of us in a cluster; rules that are wrong are left out."""
    hooks = read_hooks(reader)
    bound = read_policies(reader).bound
    policies = {}
    for namespace in {hook.namespace for hook in hooks}:
        for _, configuration in read_rules(reader, namespace):
            if isinstance(configuration, ConfigurationError):
                continue
            for policy, settings in configuration.policies.items():
                policies[namespace, policy] = settings
    return Cluster(hooks, policies, bound)


Labels = Mapping[str, str]


def obstacle(selector: Mapping[str, Any] | None, labels: Labels) -> str:
    """Return the requirement that labels do not fulfil, in words; empty if they fulfil all.

    Args:
        selector: A label selector; an empty one, or none, takes everything.
        labels: The labels of an object.
    """
    selector = selector or {}
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return f"{key} has to be {value}, and {described(key, labels)}"
    for expression in selector.get("matchExpressions") or ():
        problem = unmet(expression, labels)
        if problem:
            return problem
    return ""


def unmet(expression: Mapping[str, Any], labels: Labels) -> str:
    """Return what one requirement asks for and labels do not have."""
    key, values = expression["key"], expression.get("values") or []
    listed = " or ".join(values)
    match expression["operator"]:
        case "In" if labels.get(key) not in values:
            return f"{key} has to be {listed}, and {described(key, labels)}"
        case "NotIn" if key in labels and labels[key] in values:
            return f"{key} must not be {listed}"
        case "Exists" if key not in labels:
            return f"there has to be a label {key}"
        case "DoesNotExist" if key in labels:
            return f"there must be no label {key}"
    return ""


def described(key: str, labels: Labels) -> str:
    """Return what the label is now."""
    return f"is {labels[key]}" if key in labels else "there is none"
