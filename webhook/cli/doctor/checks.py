"""The checks of a cluster and of one namespace, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.cli.doctor.custom_resources import check_custom_resources
from webhook.cli.doctor.dry_run import try_pod
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.policies import NO_POLICIES, check_policies
from webhook.cli.doctor.release import FORCED, OUR_LABEL, read_release
from webhook.cli.doctor.replicas import check_replicas
from webhook.cli.doctor.report import (
    Finding,
    catch_errors,
    report_note,
    report_ok,
    report_wrong,
)
from webhook.cli.doctor.selection import (
    NAME,
    explain_no_rewriter,
)
from webhook.cli.doctor.webhooks import CONFIGURATIONS, WebhookEntry, is_for_new_pods
from webhook.kube import find_mismatches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from webhook.cli.doctor.installation import Installation, Rewriter
    from webhook.cli.doctor.release import InstalledRelease
    from webhook.kube.client import KubeClient

__all__ = ["check_cluster", "check_namespace"]

MAX_SKEW: Final = 30.0  # seconds


def check_cluster(
    reader: KubeClient, now: datetime, namespace: str | None = None, image: str | None = None
) -> Iterator[Finding]:
    """Check the API server, what is installed of mirrorhook, and a namespace.

    Args:
        reader: The cluster.
        now: The time by this machine's clock.
        namespace: The namespace whose Pods should be rewritten; None for none.
        image: The image to try there; None for one that a rule matches.

    Raises:
        ClusterError: The API server cannot be asked at all.
    """
    version = (reader.get("/version") or {}).get("gitVersion")
    yield report_ok("API server", f"{reader.host} answers, version {version}")
    yield _check_clock(reader.measure_clock_skew())
    found = read_installation(reader)
    yield from _check_installation(reader, found, str(version), now)
    if namespace:
        yield from catch_errors("namespace", check_namespace(reader, found, namespace, image))


def _check_installation(
    reader: KubeClient, found: Installation, version: str, now: datetime
) -> Iterator[Finding]:
    """Check what is installed of mirrorhook on an API server of a version."""
    yield from found.unknown
    webhooks, policies = found.webhooks, found.policies
    if not webhooks and not policies.any:
        if not found.unknown:
            yield _explain_absence(read_release(reader))
        if not policies.version and not found.unknown:
            yield report_note("policy", NO_POLICIES.format(version))
        return
    yield from check_policies(policies)
    for entry in webhooks:
        effect = "admitted unchanged" if entry.ignores_failure else "rejected"
        if entry.is_for_new_pods:
            text = f"{entry.label} is registered; if it fails, Pods are {effect}"
            yield report_ok("webhook", text)
        else:
            yield report_wrong(
                "webhook",
                f"{entry.label} is not for new Pods: somebody changed its rules",
                f"{entry.upgrade} {FORCED}",
            )
    yield from catch_errors("order", _check_order(reader, found.rewriters))
    releases = {(entry.namespace, entry.service): entry for entry in webhooks}
    for entry in releases.values():
        yield from catch_errors("replicas", check_replicas(reader, entry, now))
    for entry in releases.values():
        yield from _check_rules(found, entry)
        yield from check_custom_resources(reader, found, entry)


def _explain_absence(release: InstalledRelease | None) -> Finding:
    """Return that the API server has nothing of mirrorhook, and how to install it."""
    if release is None:
        return report_wrong(
            "webhook",
            "mirrorhook is not installed: the API server has no webhook and no policy of it, so "
            "no Pod is rewritten",
            "helm upgrade --install mirrorhook charts/mirrorhook --namespace mirrorhook "
            "--create-namespace --values values.yaml",
        )
    name = f"release {release.namespace}/{release.name}" if release.name else release.namespace
    return report_wrong(
        "webhook",
        "the API server has no webhook and no policy of mirrorhook, so no Pod is rewritten: the "
        f"webhook configuration of {name} was deleted",
        release.upgrade,
    )


def _check_clock(skew: float) -> Finding:
    """Check the clock; *skew* is by how many seconds this machine is ahead of the API server."""
    if abs(skew) <= MAX_SKEW:
        return report_ok("clock", "the clocks of this machine and the API server agree")
    return report_note(
        "clock",
        f"this machine is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the "
        "API server; a new certificate may not be valid yet",
        "synchronize the clocks by NTP, here and on the nodes",
    )


def _check_order(reader: KubeClient, rewriters: Iterable[Rewriter]) -> Iterator[Finding]:
    """Report which webhooks may add containers to a new Pod after mirrorhook has seen it.

    Webhooks are called in the order of the names of their configurations, after all policies.
    Then those are called again that were called before, if the Pod has changed since
    (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#reinvocation-policy).
    """
    others = [
        each["metadata"]["name"]
        for each in reader.list(CONFIGURATIONS, OUR_LABEL.replace("=", "!="))
        if any(is_for_new_pods(webhook) for webhook in each.get("webhooks") or ())
    ]
    for each in rewriters:
        after = each.configuration if isinstance(each, WebhookEntry) else ""
        later = " and ".join(sorted(name for name in others if name > after))
        if not later:
            continue
        order = f"the API server calls {later} after {each.name}"
        if not each.is_reinvoked:
            yield report_note(
                "order",
                f"{order}, but {each.name} not again: images that are added are not rewritten",
                "set webhook.reinvocationPolicy to IfNeeded and run helm upgrade",
            )
        elif each.skips_by_rules:
            yield report_note(
                "order",
                f"{order}, which it calls again only for Pods that had images of the rules "
                "before: images that are added to other Pods are not rewritten",
                "set webhook.matchConditionsFromRules to false and run helm upgrade",
            )
        else:
            yield report_ok(
                "order", f"{order}, and then {each.name} again, which rewrites added images"
            )


def _check_rules(found: Installation, entry: WebhookEntry) -> Iterator[Finding]:
    """Check the rules of the release of a webhook."""
    rules = found.rules_of(entry)
    if rules is None:
        return  # reported as unknown
    if rules.problems or not rules.config_map:
        yield rules.report_problems(entry.upgrade)
        return
    for policy, settings in rules.policies.items():
        count = len(settings.mirrors.rules)
        if count:
            words = "rule" if count == 1 else "rules"
            yield report_ok("rules", f"policy {policy} has {count} {words}")
        else:
            yield report_wrong(
                "rules",
                f"policy {policy} has no rules, so it changes nothing",
                "add rules or profiles to the values, then run helm upgrade",
            )


def check_namespace(
    reader: KubeClient, installation: Installation, name: str, image: str | None
) -> Iterator[Finding]:
    """Check that the Pods of a namespace are rewritten, and try one in a dry run.

    Args:
        reader: The cluster.
        installation: What is installed of mirrorhook in the cluster.
        name: Name of the namespace.
        image: The image to try; None for one that a rule matches.
    """
    namespace = reader.get(f"/api/v1/namespaces/{name}")
    if namespace is None:
        yield report_wrong("namespace", f"there is no namespace {name}", "kubectl get namespaces")
        return
    if not installation.rewriters:
        return  # `_check_installation` has reported it
    labels = {NAME: name, **(namespace["metadata"].get("labels") or {})}
    rewriters = installation.find_rewriters(labels)
    if not rewriters:
        yield explain_no_rewriter(installation.rewriters, name, labels)
        return
    for each in rewriters:
        yield report_ok("namespace", f"{each.label} handles the Pods of {name}")
    yield from _check_others(rewriters, name)
    for each in rewriters:
        unmet = find_mismatches(each.object_selector, {})
        if unmet:
            wanted = "; ".join(one.describe() for one in unmet)
            yield report_note(
                "Pods",
                f"{each.label} handles only some Pods of {name}, by their labels: {wanted}",
                f"set {' '.join(one.make_argument() for one in unmet)} in the labels of Pod "
                f"templates, or change selection.objectSelector and run {each.upgrade}",
            )
    yield try_pod(reader, installation, rewriters[0], name, image)


def _check_others(rewriters: Sequence[Rewriter], name: str) -> Iterator[Finding]:
    """Report several webhooks or policies that handle the same Pods."""
    if len(rewriters) > 1:
        several = " and ".join(sorted(each.label for each in rewriters))
        yield report_note(
            "namespace",
            f"{several} all handle the Pods of {name}: the first that matches an image decides, in "
            "an order that their names give",
            "let only one select the namespace (selection in the values), or uninstall a release "
            "that is not needed: helm list --all-namespaces",
        )
