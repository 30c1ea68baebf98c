"""MutatingAdmissionPolicies of mirrorhook in a cluster, and their bindings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from webhook.cli.doctor.report import Finding, fine, wrong
from webhook.cli.doctor.webhooks import OURS
from webhook.config import PolicySettings
from webhook.core import InvalidRuleError, MirrorMap
from webhook.kube import ForbiddenError
from webhook.render.policy_table import literal_table, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from webhook.kube.reading import Reader

__all__ = [
    "AGAIN",
    "GROUP",
    "NO_POLICIES",
    "Bound",
    "Policies",
    "look_at_policies",
    "read_policies",
]

GROUP: Final = "/apis/admissionregistration.k8s.io"

RESOURCE: Final = "mutatingadmissionpolicies"

BINDINGS: Final = "mutatingadmissionpolicybindings"

VERSIONS: Final = ("v1", "v1beta1")

TABLE: Final = "table"

NO_CONFIG_MAP: Final = "its ConfigMap {} is not there"

NOT_OURS: Final = "they are not in the form in which mirrorhook writes them"


@dataclass(frozen=True, slots=True)
class Bound:
    """A policy of ours as one binding puts it into force.

    Attributes:
        policy: Name of the policy.
        binding: Name of the binding.
        namespaces: Selectors of namespaces, all of which have to take one.
        objects: Selector of Pods.
        ignores: Whether a Pod is admitted as it is where the policy fails.
        created: When the later of the two was made, in RFC 3339.
        mirrors: The rules; None where they are not known.
        problem: Why they are not known.
    """

    policy: str
    binding: str
    namespaces: Mapping[str, Any]
    objects: Mapping[str, Any]
    ignores: bool
    created: str
    mirrors: MirrorMap | None = None
    problem: str = ""

    said: ClassVar[str] = "the policy"

    @property
    def name(self) -> str:
        """What it is called where webhooks are called by their name."""
        return f"policy {self.policy}"

    @property
    def resource(self) -> str:
        """What `kubectl` takes it out by."""
        return f"mutatingadmissionpolicy {self.policy}"

    @property
    def settings(self) -> PolicySettings | None:
        """What it decides by, where that is known."""
        return PolicySettings(self.policy, self.mirrors) if self.mirrors else None


@dataclass(frozen=True, slots=True)
class Policies:
    """What there is of policies of the API server.

    Attributes:
        version: Version of their API that it serves; empty for none.
        bound: Policies of ours that are in force.
        unbound: Names of those that no binding names.
        missing: Bindings of ours by the name of the policy that they name in vain.
        problem: Why they could not be read.
    """

    version: str = ""
    bound: tuple[Bound, ...] = ()
    unbound: tuple[str, ...] = ()
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problem: str = ""

    @property
    def any(self) -> bool:
        """Whether anything of ours is there."""
        return bool(self.bound or self.unbound or self.missing)


def read_policies(reader: Reader) -> Policies:
    """Return our policies and what binds them.

    Raises:
        ClusterError: The API server cannot be asked.
    """
    version = version_of(reader)
    if not version:
        return Policies()
    try:
        found = reader.list(f"{GROUP}/{version}/{RESOURCE}", OURS)
        bindings = reader.list(f"{GROUP}/{version}/{BINDINGS}")
    except ForbiddenError as error:
        return Policies(version, problem=str(error))
    policies = {each["metadata"]["name"]: each for each in found}
    bound, missing = [], dict[str, list[str]]()
    for binding in bindings:
        name = binding["spec"]["policyName"]
        if name in policies:
            bound.append(bound_by(reader, policies[name], binding))
        elif is_ours(binding):
            missing.setdefault(name, []).append(binding["metadata"]["name"])
    unbound = sorted(policies.keys() - {each.policy for each in bound})
    return Policies(version, tuple(bound), tuple(unbound), missing)


def version_of(reader: Reader) -> str:
    """Return the version of the API in which the API server has policies that rewrite."""
    for version in VERSIONS:
        served = reader.get(f"{GROUP}/{version}") or {}
        if any(each.get("name") == RESOURCE for each in served.get("resources") or ()):
            return version
    return ""


def is_ours(binding: Mapping[str, Any]) -> bool:
    """Say whether a binding has our label."""
    key, _, value = OURS.partition("=")
    return (binding["metadata"].get("labels") or {}).get(key) == value


def bound_by(reader: Reader, policy: Mapping[str, Any], binding: Mapping[str, Any]) -> Bound:
    """Return a policy as a binding puts it into force."""
    constraints = policy["spec"].get("matchConstraints") or {}
    resources = binding["spec"].get("matchResources") or {}
    mirrors, problem = rules_in(reader, policy, binding)
    return Bound(
        policy=policy["metadata"]["name"],
        binding=binding["metadata"]["name"],
        namespaces=together(constraints, resources, "namespaceSelector"),
        objects=together(constraints, resources, "objectSelector"),
        ignores=policy["spec"].get("failurePolicy") == "Ignore",
        created=max(each["metadata"].get("creationTimestamp") or "" for each in (policy, binding)),
        mirrors=mirrors,
        problem=problem,
    )


def together(
    constraints: Mapping[str, Any], resources: Mapping[str, Any], key: str
) -> dict[str, Any]:
    """Return one selector that takes what those of a policy and its binding both take."""
    one, other = constraints.get(key) or {}, resources.get(key) or {}
    labels = [
        {"key": name, "operator": "In", "values": [value]}
        for selector in (one, other)
        for name, value in (selector.get("matchLabels") or {}).items()
    ]
    return {
        "matchExpressions": [
            *labels,
            *(one.get("matchExpressions") or ()),
            *(other.get("matchExpressions") or ()),
        ]
    }


def rules_in(
    reader: Reader, policy: Mapping[str, Any], binding: Mapping[str, Any]
) -> tuple[MirrorMap | None, str]:
    """Return the rules of a policy, or why they are not known."""
    if policy["spec"].get("paramKind"):
        reference = binding["spec"].get("paramRef") or {}
        namespace, name = reference.get("namespace", ""), reference.get("name", "")
        found = reader.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        if found is None:
            return None, NO_CONFIG_MAP.format(f"{namespace}/{name}")
        table = found.get("data") or {}
    else:
        variables = policy["spec"].get("variables") or ()
        texts = [each["expression"] for each in variables if each["name"] == TABLE]
        table = literal_table("".join(texts))
    try:
        return (MirrorMap(rules_of(table)), "") if table else (None, NOT_OURS)
    except InvalidRuleError:
        return None, NOT_OURS


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
