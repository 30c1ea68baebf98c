"""The rules that a cluster uses, and where each of them comes from, for `--cluster`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.cluster_objects import read_custom_resources, read_namespace_labels
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.policies import BoundPolicy
from webhook.cli.doctor.selection import NAME
from webhook.cli.options import SetupError, explain_cluster_errors, open_cluster, select_policy
from webhook.cli.output import escape_controls
from webhook.config.models import DEFAULT_POLICY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from webhook.cli.doctor.installation import Installation, Rewriter
    from webhook.config import Configuration, PolicySettings
    from webhook.core import Decision, Rule
    from webhook.kube.client import KubeClient
    from webhook.resources import Effective

__all__ = ["ClusterRules", "RuleOrigin", "extend_rules", "load_cluster_rules", "read_cluster_rules"]

READABLE: Final = "whose rules you may read"


@dataclass(frozen=True, slots=True)
class RuleOrigin:
    """Where a rule of a cluster comes from.

    Attributes:
        rule: The rule.
        kind: Kind of the object.
        namespace: Its namespace; empty for a kind of the cluster.
        name: Its name.
        generation: The generation that is in use; None for a kind without.
        key: Where the rule is in the object; empty if that is unknown.
    """

    rule: str
    kind: str
    namespace: str
    name: str
    generation: int | None
    key: str

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace else self.name
        generation = f"generation {self.generation}" if self.generation is not None else ""
        return ", ".join(filter(None, (f"{self.kind} {name}", generation, self.key)))

    def describe(self) -> dict[str, Any]:
        """Return it with the keys that ``--output json`` promises."""
        return {
            "rule": self.rule,
            "kind": self.kind,
            "namespace": self.namespace or None,
            "name": self.name,
            "generation": self.generation,
            "key": self.key or None,
        }


class ClusterRules:
    """One policy as a cluster uses it.

    Args:
        installation: What is installed of mirrorhook in the cluster.
        rewriter: The webhook or policy that the rules are of.
    """

    def __init__(self, installation: Installation, rewriter: Rewriter) -> None:
        self._installation = installation
        self._rewriter = rewriter
        rules = None if isinstance(rewriter, BoundPolicy) else installation.rules_of(rewriter)
        self._rules = rules
        self._effective = rules.effective if rules else None

    @property
    def effective(self) -> Effective | None:
        """What the rules file and the custom resources are together, if there are any."""
        return self._effective

    def find(self, namespace: str) -> PolicySettings:
        """Return the policy as it applies in a namespace; empty for one without own rules.

        Raises:
            SetupError: The rules are unknown; the message says why.
        """
        found = self._installation.settings_of(self._rewriter, namespace)
        if found is None:
            finding = self._installation.explain_unknown_rules(self._rewriter)
            raise SetupError(f"{finding.text}; {finding.fix}" if finding.fix else finding.text)
        return found

    def trace(self, decision: Decision) -> list[RuleOrigin]:
        """Return where the rules come from that have decided on an image, in their order."""
        steps = decision.candidate.steps if decision.candidate else ()
        rules = [rule for rule, _ in steps] or ([decision.rule] if decision.rule else [])
        return [self._trace_rule(rule) for rule in dict.fromkeys(rules)]

    def _trace_rule(self, rule: Rule) -> RuleOrigin:
        if isinstance(self._rewriter, BoundPolicy):
            policy = self._rewriter.policy
            return RuleOrigin(rule.name, "MutatingAdmissionPolicy", "", policy, None, "")
        verdicts = self._effective.verdicts.values() if self._effective and rule.owner else ()
        for each in verdicts:
            found = each.object
            if str(found) == rule.owner:
                keys = {own.name: location.path for own, location in found.spec.rules}
                profile = found.spec.profiles.get(rule.source)
                key = profile.path if profile else keys.get(rule.name, "")
                return RuleOrigin(
                    rule.name, str(found.kind), found.namespace, found.name, each.in_use, key
                )
        namespace, _, name = (self._rules.config_map if self._rules else "").partition("/")
        return RuleOrigin(rule.name, "ConfigMap", namespace, name, None, self._find_key(rule))

    def _find_key(self, rule: Rule) -> str:
        """Return where a rule of the ConfigMap is in its file."""
        policy = self._rewriter.policy
        prefix = "" if policy == DEFAULT_POLICY else f"policies.{policy}."
        settings = self._rules.configuration.policies.get(policy) if self._rules else None
        if settings is None:
            return ""
        if rule.source:
            return f"{prefix}profiles[{settings.profiles.index(rule.source)}]"
        own = [each.name for each in settings.mirrors.rules if not each.source]
        return f"{prefix}rules[{own.index(rule.name)}]" if rule.name in own else ""


def extend_rules(
    configuration: Configuration,
    kubeconfig: Path | None,
    context: str | None,
    policy: str,
    namespace: str = "",
) -> Callable[[str], PolicySettings]:
    """Return what finds a policy of a rules file in a namespace, with the objects of a cluster.

    Args:
        configuration: The rules file.
        kubeconfig: As for `open_cluster`.
        context: As for `open_cluster`.
        policy: Name of the policy.
        namespace: As for `read_cluster_rules`.

    Raises:
        SetupError: The objects cannot be read.
        click.UsageError: There is no such policy.
    """
    base = select_policy(configuration, policy)
    with explain_cluster_errors(READABLE):
        objects = read_custom_resources(open_cluster(kubeconfig, context), namespace)
    effective = objects.build(configuration)
    _warn_of_problems(effective)
    return lambda each: effective.find(policy, each) or base


def load_cluster_rules(
    kubeconfig: Path | None, context: str | None, policy: str, namespace: str = ""
) -> ClusterRules:
    """Read the rules of a cluster, and write to standard error which objects are not in use.

    Args:
        kubeconfig: As for `open_cluster`.
        context: As for `open_cluster`.
        policy: Name of the policy.
        namespace: As for `read_cluster_rules`.

    Raises:
        SetupError: They cannot be read, or there are none.
    """
    with explain_cluster_errors(READABLE):
        rules = read_cluster_rules(open_cluster(kubeconfig, context), policy, namespace)
    if rules.effective is not None:
        _warn_of_problems(rules.effective)
    return rules


def _warn_of_problems(effective: Effective) -> None:
    """Write to standard error which custom resources are not in use."""
    for each in effective.verdicts.values():
        if not each.is_accepted:
            found = each.object
            problem = f"{found}, generation {found.generation}, is not in use ({each.reason})"
            click.echo(escape_controls(f"Warning: {problem}: {each.message}"), err=True)


def read_cluster_rules(client: KubeClient, policy: str, namespace: str = "") -> ClusterRules:
    """Read the rules of a cluster.

    Args:
        client: The cluster.
        policy: Name of the policy.
        namespace: Read only what matters for the Pods of this namespace; empty for all.

    Raises:
        ClusterError: The cluster cannot be read.
        SetupError: It has no such policy, or several.
    """
    installation = read_installation(client, namespace)
    for finding in installation.unknown:
        if finding.check != "policy":
            raise SetupError(finding.text)
    rewriters = _select_policy(installation, policy)
    if namespace and len(rewriters) > 1:
        labels = read_namespace_labels(client, namespace).get(namespace, {})
        selecting = installation.find_rewriters({NAME: namespace, **labels})
        rewriters = [each for each in rewriters if each in selecting] or rewriters
    if len(rewriters) > 1:
        names = " and ".join(sorted(each.label for each in rewriters))
        raise SetupError(
            f"the cluster has policy {policy} several times: {names}; give --namespace NAME of a "
            "namespace that only one of them selects, or --config FILE"
        )
    return ClusterRules(installation, rewriters[0])


def _select_policy(installation: Installation, policy: str) -> list[Rewriter]:
    """Return the webhooks of a policy, or without any the policies of the API server.

    Raises:
        SetupError: There is none.
    """
    releases: dict[tuple[str, str], Rewriter] = {}
    for each in installation.webhooks:
        if each.policy == policy:
            releases.setdefault((each.namespace, each.service), each)
    if releases:
        return list(releases.values())
    bound = _find_bound(installation.policies.bound, policy)
    if bound:
        return bound
    known = sorted({each.policy for each in installation.rewriters})
    advice = f"known policies: {', '.join(known)}" if known else "mirrorhook doctor"
    raise SetupError(f"the cluster has no webhook for policy {policy}; {advice}")


def _find_bound(bound: Iterable[BoundPolicy], policy: str) -> list[Rewriter]:
    """Return the policies of the API server with the rules of a policy, each once.

    Those of the chart and of `mirrorhook render` are named after the release for the default.
    """
    named = {each.policy: each for each in bound if each.policy == policy}
    if not named and policy == DEFAULT_POLICY:
        named = {each.policy: each for each in bound}
    return list(named.values())
