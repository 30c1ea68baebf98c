"""What is installed of mirrorhook in a cluster: webhooks, policies, and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from webhook.cli.cluster_objects import read_custom_resources
from webhook.cli.doctor.policies import BoundPolicy, InstalledPolicies, read_policies
from webhook.cli.doctor.release import FORCED, OUR_LABEL
from webhook.cli.doctor.report import Finding, report_unknown, report_wrong
from webhook.cli.doctor.webhooks import WebhookEntry, read_webhooks
from webhook.config import Configuration, ConfigurationError, load_rules
from webhook.config.models import NO_RULES
from webhook.kube import ClusterError, find_mismatches

if TYPE_CHECKING:
    from webhook.cli.cluster_objects import ClusterObjects
    from webhook.config import PolicySettings
    from webhook.kube.client import KubeClient
    from webhook.resources import Effective

__all__ = [
    "ADD_A_RULE",
    "Installation",
    "InstalledRules",
    "Labels",
    "Rewriter",
    "find_change",
    "read_installation",
]

RULES: Final = "rules.yaml"
# An argument of the replicas.
READS_OBJECTS: Final = "--custom-resources"
ADD_A_RULE: Final = (
    "add a rule for it to the values and run helm upgrade, or to the rules of the policy and "
    "render it again"
)

# A webhook, or a policy that the API server evaluates itself.
Rewriter: TypeAlias = WebhookEntry | BoundPolicy
Labels: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class InstalledRules:
    """The rules of the webhooks of a release.

    Attributes:
        config_map: Namespace and name of their ConfigMap; empty if there is none.
        configuration: Its content.
        problems: What is wrong with it, each with its key, line and column.
        changed: When the ConfigMap was changed last, in RFC 3339; empty if that is unknown.
        reads_objects: Whether the replicas read custom resources, too.
        effective: What the ConfigMap and the custom resources are together; None if the replicas
            do not read any, or if they are unknown.
    """

    config_map: str = ""
    configuration: Configuration = NO_RULES
    problems: tuple[str, ...] = ()
    changed: str = ""
    reads_objects: bool = False
    effective: Effective | None = None

    @property
    def policies(self) -> Mapping[str, PolicySettings]:
        """The policies of the platform."""
        return (self.effective or self.configuration).policies

    def find(self, policy: str, namespace: str) -> PolicySettings | None:
        """Return a policy as it applies in a namespace; None if there is no such policy."""
        if self.effective is not None:
            return self.effective.find(policy, namespace)
        return self.configuration.policies.get(policy)

    def report_problems(self, upgrade: str) -> Finding:
        """Return the finding that there are no rules, or that they are wrong."""
        if not self.config_map:
            return report_wrong("rules", "there is no ConfigMap with the rules", upgrade)
        return report_wrong(
            "rules",
            f"the rules in ConfigMap {self.config_map} are wrong: {'; '.join(self.problems)}",
            f"correct them in the values, then run {upgrade} {FORCED}",
        )


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed of mirrorhook in a cluster.

    Attributes:
        webhooks: The webhooks.
        rules: The rules of their releases, by namespace and name of the Service.
        policies: The policies of the API server.
        objects: The custom resources, if any release reads them; None if they are unknown.
        unknown: What could not be read.
    """

    webhooks: tuple[WebhookEntry, ...]
    rules: Mapping[tuple[str, str], InstalledRules]
    policies: InstalledPolicies
    objects: ClusterObjects | None = None
    unknown: tuple[Finding, ...] = ()

    @property
    def rewriters(self) -> tuple[Rewriter, ...]:
        """The webhooks and the policies."""
        return (*self.webhooks, *self.policies.bound)

    def rules_of(self, entry: WebhookEntry) -> InstalledRules | None:
        """Return the rules of a webhook; None if they could not be read."""
        return self.rules.get((entry.namespace, entry.service))

    def settings_of(self, rewriter: Rewriter, namespace: str = "") -> PolicySettings | None:
        """Return the settings by which a webhook or policy decides, if they are known.

        Args:
            rewriter: The webhook or policy.
            namespace: The namespace of the Pods; empty for one without rules of its own.
        """
        if isinstance(rewriter, BoundPolicy):
            return rewriter.settings
        rules = self.rules_of(rewriter)
        return rules.find(rewriter.policy, namespace) if rules else None

    def explain_unknown_rules(self, rewriter: Rewriter) -> Finding:
        """Return why the settings of a webhook or policy are unknown."""
        if isinstance(rewriter, BoundPolicy):
            return report_wrong(
                "rules",
                f"the rules of {rewriter.name} are unknown: {rewriter.problem}",
                rewriter.upgrade,
            )
        rules = self.rules_of(rewriter)
        if rules is None:
            text = f"the rules of policy {rewriter.policy} are unknown: they cannot be read"
            return next(
                (e for e in self.unknown if e.check == "rules"), report_unknown("rules", text)
            )
        if rules.problems or not rules.config_map:
            return rules.report_problems(rewriter.upgrade)
        return report_wrong(
            "rules",
            f"ConfigMap {rules.config_map} has no policy {rewriter.policy}, which "
            f"{rewriter.label} asks for",
            rewriter.upgrade,
        )

    def find_rewriters(self, labels: Labels) -> list[Rewriter]:
        """Return what handles the Pods of a namespace with these labels."""
        return [
            each for each in self.rewriters if not find_mismatches(each.namespace_selector, labels)
        ]


def read_installation(reader: KubeClient, namespace: str = "") -> Installation:
    """Return what is installed of mirrorhook in a cluster, as far as it can be read.

    Args:
        reader: The cluster.
        namespace: Read the MirrorRules of this namespace only; empty for all.
    """
    unknown = []
    webhooks: tuple[WebhookEntry, ...] = ()
    policies = InstalledPolicies()
    rules = {}
    try:
        webhooks = read_webhooks(reader)
    except ClusterError as error:
        unknown.append(report_unknown("webhook", str(error)))
    try:
        policies = read_policies(reader)
    except ClusterError as error:
        policies = InstalledPolicies(problem=str(error))
    if policies.problem:
        unknown.append(report_unknown("policy", policies.problem))
    for key in sorted({(each.namespace, each.service) for each in webhooks}):
        try:
            rules[key] = _read_rules(reader, *key)
        except ClusterError as error:
            unknown.append(report_unknown("rules", str(error)))
    objects = None
    if any(each.reads_objects for each in rules.values()):
        try:
            objects = read_custom_resources(reader, namespace)
        except ClusterError as error:
            unknown.append(report_unknown("custom resources", str(error)))
    if objects is not None:
        rules = {
            key: replace(each, effective=objects.build(each.configuration))
            if each.reads_objects and each.configuration.policies
            else each
            for key, each in rules.items()
        }
    return Installation(webhooks, rules, policies, objects, tuple(unknown))


def _read_rules(reader: KubeClient, namespace: str, service: str) -> InstalledRules:
    """Return the rules of a release, which are in the ConfigMap that is named after its Service.

    Raises:
        ClusterError: It cannot be read, or the Deployment.
    """
    reads_objects = _reads_objects(reader, namespace, service)
    found = [
        each
        for each in reader.list(f"/api/v1/namespaces/{namespace}/configmaps", OUR_LABEL)
        if RULES in (each.get("data") or {})
    ]
    named = [each for each in found if each["metadata"]["name"] == f"{service}-rules"]
    for each in named or found:
        metadata = each["metadata"]
        name = f"{namespace}/{metadata['name']}"
        changed = find_change(metadata, "f:data")
        try:
            configuration = _load(each["data"])
        except ConfigurationError as error:
            # The rules are read from a folder that is gone: only the name of the file matters.
            problems = [replace(one, origin=Path(one.origin).name) for one in error.problems]
            texts = tuple(map(str, problems))
            return InstalledRules(name, NO_RULES, texts, changed, reads_objects)
        return InstalledRules(name, configuration, (), changed, reads_objects)
    return InstalledRules(reads_objects=reads_objects)


def _reads_objects(reader: KubeClient, namespace: str, service: str) -> bool:
    """Return whether the replicas behind a Service read custom resources.

    Raises:
        ClusterError: Their Deployment cannot be read.
    """
    found = reader.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{service}")
    containers = found["spec"]["template"]["spec"]["containers"] if found else []
    return any(READS_OBJECTS in (each.get("args") or ()) for each in containers)


def _load(data: Mapping[str, str]) -> Configuration:
    # The rules may name other files, which lie beside them as in a Pod.
    with TemporaryDirectory(prefix="mirrorhook-doctor-") as folder:
        for name, text in data.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        return load_rules(Path(folder, RULES))


def find_change(metadata: Mapping[str, Any], *path: str) -> str:
    """Return when a field of an object was set last, in RFC 3339; empty if that is unknown.

    Args:
        metadata: The metadata of the object.
        path: The way to the field in the ``fieldsV1`` of a field manager.
    """
    times = []
    for manager in metadata.get("managedFields") or ():
        fields: Any = manager.get("fieldsV1")
        for step in path:
            fields = fields.get(step) if isinstance(fields, dict) else None
        if fields is not None:
            times.append(str(manager.get("time") or ""))
    return max(times, default="")
