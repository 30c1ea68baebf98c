"""MutatingAdmissionPolicies of mirrorhook in a cluster, and their bindings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from webhook.cli.doctor.release import NO_RELEASE, OUR_LABEL, InstalledRelease, find_release
from webhook.cli.doctor.report import Finding, report_ok, report_wrong
from webhook.config import PolicySettings
from webhook.core import InvalidRuleError, MirrorMap
from webhook.kube import ClusterError, ForbiddenError
from webhook.render.policy_table import parse_cel_literal, parse_policy_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from webhook.kube.client import KubeClient

__all__ = [
    "NO_POLICIES",
    "BoundPolicy",
    "InstalledPolicies",
    "check_policies",
    "read_policies",
]

GROUP: Final = "/apis/admissionregistration.k8s.io"
RESOURCE: Final = "mutatingadmissionpolicies"
BINDINGS: Final = "mutatingadmissionpolicybindings"
VERSIONS: Final = ("v1", "v1beta1")
TABLE: Final = "table"
UNKNOWN_FORM: Final = "they are not in the form that mirrorhook writes"
RENDER_AGAIN: Final = "mirrorhook render policy --config rules.yaml | kubectl apply -f -"
CONDITIONS: Final = frozenset({"is-no-mirror-pod", "is-not-opted-out", "has-new-containers"})
NO_POLICIES: Final = (
    "this API server ({}) does not serve MutatingAdmissionPolicies, which `rewriter: policy` "
    "needs: use Kubernetes 1.36, or from 1.34 on the feature gate MutatingAdmissionPolicy and "
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true"
)


@dataclass(frozen=True, slots=True)
class BoundPolicy:
    """A policy of mirrorhook that one binding makes active.

    Selectors are those of the policy and of the binding together.

    Attributes:
        ignores_failure: Whether Pods are admitted unchanged if the policy fails.
        is_reinvoked: Whether it is evaluated again if webhooks change a Pod.
        created: When the later of the two was created, in RFC 3339.
        changed: When the rules in the policy were changed last, in RFC 3339.
        conditions: Names of its match conditions that mirrorhook does not write.
        release: The release that it belongs to.
        mirrors: The rules; None if they are unknown.
        problem: Why they are unknown.
    """

    policy: str
    binding: str
    namespace_selector: Mapping[str, Any]
    object_selector: Mapping[str, Any]
    ignores_failure: bool
    is_reinvoked: bool
    created: str
    changed: str = ""
    conditions: tuple[str, ...] = ()
    release: InstalledRelease = NO_RELEASE
    mirrors: MirrorMap | None = None
    problem: str = ""

    noun: ClassVar[str] = "the policy"
    skips_by_rules: ClassVar[bool] = False

    @property
    def namespace(self) -> str:
        """Namespace of its release; empty if it was not installed by Helm."""
        return self.release.namespace

    @property
    def label(self) -> str:
        """What messages call it, with its binding."""
        return f"{self.name} by binding {self.binding}"

    @property
    def upgrade(self) -> str:
        """The command that writes it again."""
        return self.release.upgrade if self.release.name else RENDER_AGAIN

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"policy {self.policy}"

    @property
    def resource(self) -> str:
        """What `kubectl delete` removes it by."""
        return f"mutatingadmissionpolicy {self.policy}"

    @property
    def settings(self) -> PolicySettings | None:
        """The rules as settings, if they are known."""
        return PolicySettings(self.policy, self.mirrors) if self.mirrors else None


@dataclass(frozen=True, slots=True)
class InstalledPolicies:
    """The policies of mirrorhook in the API server.

    Attributes:
        version: Version of the API that serves such policies; empty if it serves none.
        bound: Policies with a binding.
        unbound: Those without a binding, by their names, with what writes it again.
        missing: Names of bindings, by the name of a policy that does not exist.
        upgrades: What writes those policies again.
        problem: Why they could not be read.
    """

    version: str = ""
    bound: tuple[BoundPolicy, ...] = ()
    unbound: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    upgrades: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def any(self) -> bool:
        """Whether there is a policy or a binding."""
        return bool(self.bound or self.unbound or self.missing)


def read_policies(reader: KubeClient) -> InstalledPolicies:
    """Return the policies of mirrorhook with their bindings.

    Raises:
        ClusterError: The API server cannot be asked.
    """
    version = _find_version(reader)
    if not version:
        return InstalledPolicies()
    try:
        found = reader.list(f"{GROUP}/{version}/{RESOURCE}", OUR_LABEL)
        bindings = reader.list(f"{GROUP}/{version}/{BINDINGS}")
    except ForbiddenError as error:
        return InstalledPolicies(version, problem=str(error))
    policies = {each["metadata"]["name"]: each for each in found}
    bound, missing, upgrades = [], dict[str, list[str]](), {}
    for binding in bindings:
        name = binding["spec"]["policyName"]
        if name in policies:
            bound.append(_bind(reader, policies[name], binding))
        elif _is_ours(binding):
            missing.setdefault(name, []).append(binding["metadata"]["name"])
            upgrades[name] = _find_upgrade(binding)
    bound_names = {each.policy for each in bound}
    unbound = {n: _find_upgrade(each) for n, each in policies.items() if n not in bound_names}
    return InstalledPolicies(version, tuple(bound), unbound, missing, upgrades)


def _find_upgrade(found: Mapping[str, Any]) -> str:
    """Return the command that writes the policy and the binding of an object again."""
    release = find_release(found["metadata"])
    return release.upgrade if release.name else RENDER_AGAIN


def _find_change(metadata: Mapping[str, Any]) -> str:
    """Return when an object was changed last; the API server changes no policy itself."""
    return max((e.get("time") or "" for e in metadata.get("managedFields") or ()), default="")


def _find_version(reader: KubeClient) -> str:
    """Return the version of the API in which the API server has policies that mutate."""
    for version in VERSIONS:
        served = reader.get(f"{GROUP}/{version}") or {}
        if any(each.get("name") == RESOURCE for each in served.get("resources") or ()):
            return version
    return ""


def _is_ours(binding: Mapping[str, Any]) -> bool:
    key, _, value = OUR_LABEL.partition("=")
    return (binding["metadata"].get("labels") or {}).get(key) == value


def _bind(reader: KubeClient, policy: Mapping[str, Any], binding: Mapping[str, Any]) -> BoundPolicy:
    constraints = policy["spec"].get("matchConstraints") or {}
    resources = binding["spec"].get("matchResources") or {}
    mirrors, problem = _read_rules(reader, policy, binding)
    return BoundPolicy(
        policy=policy["metadata"]["name"],
        binding=binding["metadata"]["name"],
        namespace_selector=_join_selectors(constraints, resources, "namespaceSelector"),
        object_selector=_join_selectors(constraints, resources, "objectSelector"),
        conditions=tuple(
            each["name"]
            for each in policy["spec"].get("matchConditions") or ()
            if each["name"].removeprefix("mirrorhook.io/") not in CONDITIONS
        ),
        release=find_release(policy["metadata"]),
        changed=_find_change(policy["metadata"]),
        ignores_failure=policy["spec"].get("failurePolicy") == "Ignore",
        is_reinvoked=policy["spec"].get("reinvocationPolicy") == "IfNeeded",
        created=max(each["metadata"].get("creationTimestamp") or "" for each in (policy, binding)),
        mirrors=mirrors,
        problem=problem,
    )


def _join_selectors(
    constraints: Mapping[str, Any], resources: Mapping[str, Any], key: str
) -> dict[str, Any]:
    """Return the selector of what the selectors of a policy and its binding both select."""
    selectors = [constraints.get(key) or {}, resources.get(key) or {}]
    labels = [
        {"key": name, "operator": "In", "values": [value]}
        for selector in selectors
        for name, value in (selector.get("matchLabels") or {}).items()
    ]
    expressions = [each for one in selectors for each in one.get("matchExpressions") or ()]
    return {"matchExpressions": [*labels, *expressions]}


def _read_rules(
    reader: KubeClient, policy: Mapping[str, Any], binding: Mapping[str, Any]
) -> tuple[MirrorMap | None, str]:
    """Return the rules of a policy, or why they are unknown."""
    if policy["spec"].get("paramKind"):
        reference = binding["spec"].get("paramRef") or {}
        namespace, name = reference.get("namespace", ""), reference.get("name", "")
        try:
            found = reader.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except ClusterError as error:
            return None, str(error)
        if found is None:
            return None, f"its ConfigMap {namespace}/{name} does not exist"
        table = found.get("data") or {}
    else:
        variables = policy["spec"].get("variables") or ()
        texts = [each["expression"] for each in variables if each["name"] == TABLE]
        table = parse_cel_literal("".join(texts))
    try:
        return (MirrorMap(parse_policy_table(table)), "") if table else (None, UNKNOWN_FORM)
    except InvalidRuleError:
        return None, UNKNOWN_FORM


def check_policies(policies: InstalledPolicies) -> Iterator[Finding]:
    """Check that policies and bindings match, and that there are rules."""
    for name, upgrade in policies.unbound.items():
        yield report_wrong(
            "binding",
            f"policy {name} has no binding, so the API server never evaluates it",
            upgrade,
        )
    for name, bindings in policies.missing.items():
        yield report_wrong(
            "policy",
            f"there is no policy {name} for binding {' and '.join(bindings)}, so nothing is "
            "rewritten",
            policies.upgrades[name],
        )
    for bound in policies.bound:
        effect = "admitted unchanged" if bound.ignores_failure else "rejected"
        active = f"{bound.policy} is active by binding {bound.binding} ({policies.version})"
        yield report_ok("policy", f"{active}; if it fails, Pods are {effect}")
    for bound in {each.policy: each for each in policies.bound}.values():
        yield _check_rules(bound)


def _check_rules(bound: BoundPolicy) -> Finding:
    if bound.mirrors is None:
        text = f"the rules of {bound.name} are unknown: {bound.problem}"
        return report_wrong("rules", text, bound.upgrade)
    count = sum(bool(rule.mirrors) for rule in bound.mirrors.rules)
    if not count:
        return report_wrong(
            "rules",
            f"{bound.name} has no rules, so it changes nothing",
            "add rules or profiles to the values and run helm upgrade, or render it again",
        )
    return report_ok(
        "rules",
        f"{bound.name} has rules for {count} image {'prefix' if count == 1 else 'prefixes'}",
    )
