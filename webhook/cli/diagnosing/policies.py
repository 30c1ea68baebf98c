"""Policies of the API server, which rewrite where no webhook does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.cli.diagnosing.finding import Finding, fine, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.cli.diagnosing.binding import Bound, Policies

__all__ = ["AGAIN", "NO_POLICIES", "look_at_policies"]

AGAIN: Final = (
    "helm upgrade --install mirrorhook charts/mirrorhook --namespace mirrorhook "
    "--reuse-values; or mirrorhook render policy --config rules.yaml | kubectl apply -f -"
)
NO_POLICIES: Final = (
    "this API server ({}) has no MutatingAdmissionPolicy, so `rewriter: policy` is not for "
    "it: that takes Kubernetes 1.36, or from 1.34 on the feature gate of this name and "
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true"
)


def look_at_policies(policies: Policies) -> Iterator[Finding]:
    """Say how our policies stand."""
    for name in policies.unbound:
        yield wrong(
            "binding",
            f"policy {name} has no binding, so the API server never evaluates it",
            AGAIN,
        )
    for name, bindings in policies.missing.items():
        yield wrong(
            "policy",
            f"there is no policy {name}, which binding {' and '.join(bindings)} is for, so "
            "nothing is rewritten",
            AGAIN,
        )
    for bound in policies.bound:
        admits = "admits Pods as they are" if bound.ignores else "refuses Pods"
        force = f"is in force by binding {bound.binding} ({policies.version})"
        yield fine("policy", f"{bound.policy} {force}; it {admits} where it fails")
    for bound in {each.policy: each for each in policies.bound}.values():
        yield look_at_rules(bound)


def look_at_rules(bound: Bound) -> Finding:
    """Say how the rules of a policy stand."""
    if bound.mirrors is None:
        return wrong("rules", f"those of {bound.name} are not known: {bound.problem}", AGAIN)
    count = sum(bool(rule.mirrors) for rule in bound.mirrors.rules)
    if not count:
        return wrong(
            "rules",
            f"{bound.name} has none, so it changes nothing",
            "give rules or profiles in the values, and helm upgrade; or render it again",
        )
    return fine("rules", f"{bound.name} has them for {count} prefixes of images")
