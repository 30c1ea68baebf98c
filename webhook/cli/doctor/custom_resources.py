"""Custom resources: which are not in use and why, and what keeps the replicas from reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webhook.cli.cluster_objects import get_collection
from webhook.cli.doctor.release import FORCED
from webhook.cli.doctor.report import (
    Finding,
    catch_errors,
    report_note,
    report_ok,
    report_wrong,
)
from webhook.config.rules import RULE_KEYS
from webhook.config.spec import list_availability_keys, list_spec_keys
from webhook.kube import ClusterError
from webhook.resources import Kind, Reason
from webhook.resources.objects import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.cli.cluster_objects import ClusterObjects
    from webhook.cli.doctor.installation import Installation, InstalledRules
    from webhook.cli.doctor.webhooks import WebhookEntry
    from webhook.kube.client import KubeClient
    from webhook.resources import ResourceObject, Verdict

__all__ = ["check_custom_resources"]

CHECK: Final = "custom resources"
GROUP, _, VERSION = API_VERSION.partition("/")
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MAX_SHOWN: Final = 20  # objects
# What replicas need: verb, resource and group.
NEEDED: Final = (
    *((verb, kind.lower(), GROUP) for kind in Kind for verb in ("list", "watch")),
    *(("patch", f"{kind.lower()}/status", GROUP) for kind in Kind),
    ("list", "namespaces", ""),
    ("watch", "namespaces", ""),
    ("create", "events", "events.k8s.io"),
)
FIXES: Final = {
    Reason.CONFLICT: "remove the rule or the setting from one of the two",
    Reason.CYCLE: "remove one of the rules, or give one keep: true",
    Reason.POLICY_NOT_FOUND: "correct spec.policy, or add the policy to the values",
    Reason.MIRROR_NOT_ALLOWED: "use an allowed mirror, or add it to delegation.mirrors in the "
    "values",
    Reason.NOT_ALLOWED: "remove it: only the platform may set it",
    Reason.INVALID: "correct it: mirrorhook check FILE says the same before it is applied",
}


def check_custom_resources(
    reader: KubeClient, found: Installation, entry: WebhookEntry
) -> Iterator[Finding]:
    """Check the custom resources that a release reads, and those that none reads.

    Args:
        reader: The cluster.
        found: What is installed of mirrorhook in the cluster.
        entry: A webhook of the release.
    """
    rules = found.rules_of(entry)
    if rules is None:
        return  # reported as unknown
    if not rules.reads_objects:
        if not any(each.reads_objects for each in found.rules.values()):
            yield from _report_unread(reader, entry)
        return
    yield from catch_errors(CHECK, _check_permissions(reader, entry))
    yield from catch_errors(CHECK, _check_definitions(reader, entry))
    if found.objects is not None and rules.effective is not None:
        yield from _check_objects(rules, found.objects, entry)


def _report_unread(reader: KubeClient, entry: WebhookEntry) -> Iterator[Finding]:
    """Report objects that have no effect, as the replicas do not read them."""
    for kind in Kind:
        try:
            objects = reader.list(get_collection(kind))
        except ClusterError:
            continue
        if objects:
            yield report_note(
                CHECK,
                f"{_count(len(objects), kind)} have no effect: the replicas of {entry.service} do "
                "not read custom resources",
                f"set customResources.enabled to true in the values, and run {entry.upgrade}",
            )


def _count(number: int, kind: Kind) -> str:
    return f"{number} {kind}"


def _check_permissions(reader: KubeClient, entry: WebhookEntry) -> Iterator[Finding]:
    """Report what the replicas may not do."""
    name = _find_account(reader, entry)
    account = f"system:serviceaccount:{entry.namespace}:{name}"
    denied = [
        f"{verb} {resource}"
        for verb, resource, group in NEEDED
        if not reader.is_allowed(account, verb, resource, group, "")
    ]
    if denied:
        yield report_wrong(
            "permissions",
            f"service account {name} may not {', '.join(denied)}: the "
            "replicas cannot read custom resources or write their status",
            f"{entry.upgrade}, which writes their ClusterRole and its binding again {FORCED}",
        )


def _find_account(reader: KubeClient, entry: WebhookEntry) -> str:
    path = f"/apis/apps/v1/namespaces/{entry.namespace}/deployments/{entry.service}"
    found = reader.get(path) or {"spec": {"template": {"spec": {}}}}
    return str(found["spec"]["template"]["spec"].get("serviceAccountName") or "default")


def _check_definitions(reader: KubeClient, entry: WebhookEntry) -> Iterator[Finding]:
    """Report kinds that the API server does not know, or that lack keys of this program."""
    for kind in Kind:
        name = f"{kind.lower()}.{GROUP}"
        definition = reader.get(f"{DEFINITIONS}/{name}")
        fix = f"{entry.upgrade}, with customResources.install: true in the values"
        if definition is None:
            text = f"the API server does not know {kind}: there is no CustomResourceDefinition"
            yield report_wrong(CHECK, f"{text} {name}", fix)
            continue
        missing = _find_missing_keys(definition, kind)
        if missing:
            yield report_wrong(
                CHECK,
                f"CustomResourceDefinition {name} is older than this program: the API server "
                f"drops {', '.join(missing)} from objects",
                f"{fix}; if the replicas are older than this program, use the program of their "
                "version",
            )


def _find_missing_keys(definition: Mapping[str, Any], kind: Kind) -> list[str]:
    """Return the keys that this program knows, and a definition does not."""
    schema: Any = {}
    for version in definition["spec"].get("versions") or ():
        if version.get("name") == VERSION:
            schema = version["schema"]["openAPIV3Schema"]
    spec = _list_properties(schema, "spec")
    rules = (spec.get("rules") or {}).get("items") or {}
    wanted = [(key, spec, f"spec.{key}") for key in list_spec_keys(kind)]
    wanted += [
        (key, rules.get("properties") or {}, f"spec.rules[].{key}")
        for key in RULE_KEYS
        if "rules" in spec
    ]
    wanted += [
        (key, _list_properties({"properties": spec}, "availability"), f"spec.availability.{key}")
        for key in list_availability_keys(kind)
        if "availability" in spec
    ]
    return [path for key, known, path in wanted if key not in known]


def _list_properties(schema: Any, key: str) -> Mapping[str, Any]:
    return ((schema.get("properties") or {}).get(key) or {}).get("properties") or {}


def _check_objects(
    rules: InstalledRules, objects: ClusterObjects, entry: WebhookEntry
) -> Iterator[Finding]:
    """Report which objects are in use, which are not, and whose status is out of date."""
    verdicts = rules.effective.verdicts if rules.effective else {}
    refused = [each for each in verdicts.values() if not each.is_accepted]
    used = len(verdicts) - len(refused)
    if verdicts:
        counts = " and ".join(
            _count(sum(v.object.kind is kind and v.is_accepted for v in verdicts.values()), kind)
            for kind in Kind
        )
        yield (
            report_ok(CHECK, f"{counts} are in use")
            if used
            else report_note(CHECK, "no object is in use")
        )
    if rules.configuration.delegation is None:
        undelegated = [each for each in refused if each.reason is Reason.NOT_DELEGATED]
        refused = [each for each in refused if each.reason is not Reason.NOT_DELEGATED]
        if undelegated:
            yield report_wrong(
                CHECK,
                f"{_count(len(undelegated), Kind.TEAM)} have no effect, as delegation is not set: "
                f"{', '.join(str(each.object) for each in undelegated[:MAX_SHOWN])}",
                f"set delegation in the values, and run {entry.upgrade}",
            )
    for each in refused[:MAX_SHOWN]:
        yield report_wrong(CHECK, _describe(each), _fix(each))
    if len(refused) > MAX_SHOWN:
        yield report_wrong(
            CHECK,
            f"{len(refused) - MAX_SHOWN} more objects are not in use",
            "kubectl get clustermirrorrules; kubectl get mirrorrules --all-namespaces",
        )
    stale = [each.object for each in verdicts.values() if _is_stale(each.object, objects)]
    if stale:
        names = ", ".join(f"{one}, generation {one.generation}" for one in stale[:MAX_SHOWN])
        yield report_wrong(
            CHECK,
            f"nobody has written the status of {len(stale)} objects: {names}",
            f"if they are older than a minute: kubectl --namespace {entry.namespace} get lease "
            f"{entry.service} names the replica that writes it; see its log, and permissions above",
        )


def _is_stale(found: ResourceObject, objects: ClusterObjects) -> bool:
    accepted = objects.conditions.get(found.uid, {}).get("Accepted") or {}
    return accepted.get("observedGeneration") != found.generation


def _describe(verdict: Verdict) -> str:
    found = verdict.object
    return (
        f"{found}, generation {found.generation}, is not in use ({verdict.reason}): "
        f"{verdict.message}"
    )


def _fix(verdict: Verdict) -> str:
    found = verdict.object
    if verdict.reason is Reason.NOT_DELEGATED:
        return (
            f"give namespace {found.namespace} the labels of delegation.namespaces in the values, "
            "or change these"
        )
    where = f" --namespace {found.namespace}" if found.namespace else ""
    command = f"kubectl{where} edit {found.kind.lower()} {found.name}"
    return f"{FIXES.get(verdict.reason, FIXES[Reason.INVALID])}: {command}"
