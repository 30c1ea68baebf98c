"""
What is known of us in a cluster: our webhooks, and the rules that they decide by.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from webhook.cli.diagnosing.finding import Finding, wrong
from webhook.cli.diagnosing.registration import CONFIGURATIONS, OURS, Hook, hooks_of
from webhook.cli.diagnosing.selectors import Labels, obstacle
from webhook.config import Configuration, ConfigurationError, load
from webhook.objects import OPT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.config import PolicySettings
    from webhook.kube.reading import Reader

__all__ = ["Cluster", "read_cluster", "read_hooks", "read_rules"]

RULES: Final = "rules.yaml"


@dataclass(frozen=True, slots=True)
class Cluster:
    """
    What is known of us in a cluster.

    Attributes:
        hooks: The webhooks.
        policies: The policies by the namespace of their release, and their name.
    """

    hooks: tuple[Hook, ...]
    policies: Mapping[tuple[str, str], PolicySettings]

    def settings(self, hook: Hook) -> PolicySettings | None:
        """
        Return what a webhook decides by, where it is known.
        """
        return self.policies.get((hook.namespace, hook.policy))

    def selecting(self, labels: Labels) -> list[Hook]:
        """
        Return the webhooks that are asked about the Pods of a namespace.
        """
        return [hook for hook in self.hooks if not obstacle(hook.namespaces, labels)]

    def unasked(self, namespace: str, labels: Labels) -> Finding:
        """
        Return that no webhook is asked about the Pods of a namespace, and why.

        Args:
            namespace: Its name.
            labels: Its labels.
        """
        reasons = {obstacle(hook.namespaces, labels) for hook in self.hooks}
        return wrong(
            "namespace",
            f"no webhook is asked about the Pods of {namespace}: "
            + "; ".join(sorted(reasons)),
            f"kubectl label namespace {namespace} {OPT_OUT}=enabled --overwrite",
        )


def read_hooks(reader: Reader) -> tuple[Hook, ...]:
    """
    Return our webhooks.
    """
    found = reader.list(CONFIGURATIONS, OURS)
    return tuple(hook for configuration in found for hook in hooks_of(configuration))


def read_rules(
    reader: Reader, namespace: str
) -> Iterator[tuple[str, Configuration | ConfigurationError]]:
    """
    Yield the name of each ConfigMap of rules in a namespace, and what is in it.
    """
    for each in reader.list(f"/api/v1/namespaces/{namespace}/configmaps", OURS):
        data = each.get("data") or {}
        if RULES not in data:
            continue
        # The rules may name other files, which stand beside them there as in a Pod.
        with TemporaryDirectory(prefix="mirrorhook-doctor-") as folder:
            for name, text in data.items():
                Path(folder, name).write_text(text)
            try:
                yield each["metadata"]["name"], load(Path(folder, RULES))
            except ConfigurationError as error:
                yield each["metadata"]["name"], error


def read_cluster(reader: Reader) -> Cluster:
    """
    Return what is known of us in a cluster; rules that are wrong are left out.
    """
    hooks = read_hooks(reader)
    policies = {}
    for namespace in {hook.namespace for hook in hooks}:
        for _, configuration in read_rules(reader, namespace):
            if isinstance(configuration, ConfigurationError):
                continue
            for policy, settings in configuration.policies.items():
                policies[namespace, policy] = settings
    return Cluster(hooks, policies)
