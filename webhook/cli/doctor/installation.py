"""What is installed of mirrorhook in a cluster: webhooks, policies, and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.cli.doctor.policies import BoundPolicy, read_policies
from webhook.cli.doctor.report import Finding, wrong
from webhook.cli.doctor.webhooks import OUR_LABEL, WebhookEntry, read_webhooks
from webhook.config import Configuration, ConfigurationError, load_rules
from webhook.kube import find_mismatch
from webhook.objects import OPT_OUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.config import PolicySettings
    from webhook.kube.client import KubeClient

__all__ = [
    "ADD_A_RULE",
    "Installation",
    "Rewriter",
    "read_config_maps",
    "read_installation",
]

RULES: Final = "rules.yaml"
ADD_A_RULE: Final = (
    "add a rule for it to the values and run helm upgrade, or to the rules of the policy and "
    "render it again"
)

# A webhook, or a policy that the API server evaluates itself.
Rewriter: TypeAlias = WebhookEntry | BoundPolicy
Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed of mirrorhook in a cluster.

    Attributes:
        webhooks: The webhooks.
        settings: The settings of their policies, by the namespace of the release and the
            name of the policy.
        bound: The policies of the API server, by their bindings.
    """

    webhooks: tuple[WebhookEntry, ...]
    settings: Mapping[tuple[str, str], PolicySettings]
    bound: tuple[BoundPolicy, ...] = ()

    @property
    def rewriters(self) -> tuple[Rewriter, ...]:
        """The webhooks and the policies."""
        return (*self.webhooks, *self.bound)

    def settings_of(self, rewriter: Rewriter) -> PolicySettings | None:
        """Return the settings by which a webhook or policy decides, if they are known."""
        if isinstance(rewriter, BoundPolicy):
            return rewriter.settings
        return self.settings.get((rewriter.namespace, rewriter.policy))

    def find_rewriters(self, labels: Labels) -> list[Rewriter]:
        """Return what handles the Pods of a namespace with these labels."""
        return [
            each for each in self.rewriters if not find_mismatch(each.namespace_selector, labels)
        ]

    def explain_no_rewriter(self, namespace: str, labels: Labels) -> Finding:
        """Return why nothing handles the Pods of a namespace."""
        reasons = {find_mismatch(each.namespace_selector, labels) for each in self.rewriters}
        kinds = {each.noun.removeprefix("the ") for each in self.rewriters}
        return wrong(
            "namespace",
            f"no {' and no '.join(sorted(kinds))} handles the Pods of {namespace}: "
            + "; ".join(sorted(reasons)),
            f"kubectl label namespace {namespace} {OPT_OUT}=enabled --overwrite",
        )


def read_installation(reader: KubeClient) -> Installation:
    """Return what is installed of mirrorhook in a cluster; invalid rules are left out."""
    webhooks = read_webhooks(reader)
    bound = read_policies(reader).bound
    settings = {}
    for namespace in {entry.namespace for entry in webhooks}:
        for _, configuration in read_config_maps(reader, namespace):
            if not isinstance(configuration, ConfigurationError):
                for policy, each in configuration.policies.items():
                    settings[namespace, policy] = each
    return Installation(webhooks, settings, bound)


def read_config_maps(
    reader: KubeClient, namespace: str
) -> Iterator[tuple[str, Configuration | ConfigurationError]]:
    """Yield the name of each ConfigMap of rules in a namespace, with its rules or errors."""
    for each in reader.list(f"/api/v1/namespaces/{namespace}/configmaps", OUR_LABEL):
        data = each.get("data") or {}
        if RULES not in data:
            continue
        # The rules may name other files, which lie beside them as in a Pod.
        with TemporaryDirectory(prefix="mirrorhook-doctor-") as folder:
            for name, text in data.items():
                Path(folder, name).write_text(text)
            try:
                yield each["metadata"]["name"], load_rules(Path(folder, RULES))
            except ConfigurationError as error:
                yield each["metadata"]["name"], error
