"""A cluster, looked at step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.cli.diagnosing.binding import read_policies
from webhook.cli.diagnosing.finding import Finding, doubt, fine, unknown, wrong
from webhook.cli.diagnosing.known import read_hooks, read_rules
from webhook.cli.diagnosing.policies import NO_POLICIES, look_at_policies
from webhook.cli.diagnosing.replicas import look_at_bundle, look_at_replicas
from webhook.config import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from webhook.kube.reading import Reader

__all__ = ["look_at_cluster"]

SKEW: Final = 30.0


def look_at_cluster(reader: Reader, now: datetime) -> Iterator[Finding]:
    """Look at everything but a namespace."""
    version = reader.get("/version") or {}
    yield fine("API server", f"{reader.address} answers: {version.get('gitVersion')}")
    skew = reader.skew()
    if abs(skew) > SKEW:
        yield doubt(
            "clock",
            f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the "
            "API server; a certificate that is just made may not be valid yet",
            "set the clocks by NTP, here and on the nodes",
        )
    else:
        yield fine("clock", "this machine and the API server agree on the time")
    hooks, policies = read_hooks(reader), read_policies(reader)
    if policies.problem and not hooks:
        yield unknown("policy", f"there is no webhook, and {policies.problem}")
        return
    if not hooks and not policies.any:
        yield wrong(
            "webhook",
            "the API server knows of no webhook and of no policy of mirrorhook, so nothing "
            "is rewritten",
            "helm install mirrorhook charts/mirrorhook --namespace mirrorhook "
            "--create-namespace --values values.yaml",
        )
        if not policies.version:
            yield doubt("policy", NO_POLICIES.format(version.get("gitVersion")))
        return
    yield from look_at_policies(policies)
    for hook in hooks:
        policy = "admits Pods as they are" if hook.ignores else "refuses Pods"
        yield fine("webhook", f"{hook.name} is registered; it {policy} where it fails")
        yield look_at_bundle(hook, now)
    for hook in {(hook.namespace, hook.service): hook for hook in hooks}.values():
        yield from look_at_replicas(reader, hook)
    for namespace in sorted({hook.namespace for hook in hooks}):
        yield from look_at_rules(reader, namespace)


def look_at_rules(reader: Reader, namespace: str) -> Iterator[Finding]:
    """Say how the rules of a release stand."""
    found = dict(read_rules(reader, namespace))
    if not found:
        yield unknown("rules", f"there is no ConfigMap with rules in namespace {namespace}")
    for name, configuration in found.items():
        if isinstance(configuration, ConfigurationError):
            problems = "; ".join(problem.message for problem in configuration.problems)
            yield wrong(
                "rules",
                f"those in ConfigMap {namespace}/{name} are wrong: {problems}",
                "put them right in the values, and helm upgrade",
            )
            continue
        for policy, settings in configuration.policies.items():
            count = len(settings.mirrors.rules)
            if count:
                yield fine("rules", f"policy {policy} has {count}")
            else:
                yield wrong(
                    "rules",
                    f"policy {policy} has none, so it changes nothing",
                    "give rules or profiles in the values, and helm upgrade",
                )
