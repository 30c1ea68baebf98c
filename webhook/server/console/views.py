"""The data that the console shows, on its page and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, AwareDatetime

from webhook import __version__
from webhook.config import Mode
from webhook.core import LayeredMap, MatchKind, Outcome, explain_rules
from webhook.server.mirror_health import MirrorState  # noqa: TC001 - FastAPI reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.config import PolicySettings
    from webhook.core import Rule
    from webhook.server.certificates import ServingCertificate
    from webhook.server.history import History
    from webhook.server.mirror_health import MirrorHealth
    from webhook.server.policies import PolicyStore
    from webhook.server.readiness import Readiness

__all__ = [
    "CandidateView",
    "CertificateView",
    "ConsoleViews",
    "ExplanationView",
    "MirrorView",
    "PolicyView",
    "Replica",
    "ReplicaList",
    "ReplicaRules",
    "ReplicaState",
    "RuleMatchView",
    "RulePage",
    "RuleView",
    "RulesFileView",
    "StateView",
    "UnknownPolicyError",
]


# Other replicas may be of any version: their texts are cut.
Text = Annotated[str, AfterValidator(lambda text: text[:512])]


class UnknownPolicyError(LookupError):
    """There is no such policy; the message lists the policies."""


@dataclass(frozen=True, slots=True)
class CertificateView:
    """The certificate that reviews are served with."""

    source: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class RulesFileView:
    """The rules in use, and the problems of the file if it was rejected since."""

    digest: str
    loaded: datetime
    refused: list[str]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy with its options: the number of its rules, and whether it checks mirrors."""

    name: str
    mode: str
    rules: int
    checks: bool


@dataclass(frozen=True, slots=True)
class StateView:
    """The state of this replica; *problems* are the reasons why it is not ready."""

    version: str
    replica: str
    started: datetime
    ready: bool
    problems: list[str]
    reviewed: datetime | None
    certificate: CertificateView
    rules: RulesFileView
    policies: list[PolicyView]


@dataclass(frozen=True, slots=True)
class MirrorView:
    """A mirror of a rule, with what is known of it.

    Attributes:
        images: How many images were sent there since the start.
        share: Their fraction of all images that the rule rewrote; None if there are none.
        status: Whether the mirror answers.
        reason: Its latest answer in words.
    """

    target: str
    flatten: bool
    images: int
    share: float | None
    status: MirrorState
    reason: str


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule of a policy; *object* is the custom resource that it comes from, if there is one."""

    policy: str
    rule: str
    profile: str
    object: str
    keep: bool
    mirrors: list[MirrorView]


@dataclass(frozen=True, slots=True)
class RulePage:
    """Some of the rules, from *offset* on, and how many there are in all."""

    total: int
    offset: int
    rules: list[RuleView]


@dataclass(frozen=True, slots=True)
class RuleMatchView:
    """How a rule matches an image; *winner* is the rule that shadows it, *object* as above."""

    rule: str
    profile: str
    object: str
    match: MatchKind
    winner: str
    keep: bool
    mirrors: list[str]


@dataclass(frozen=True, slots=True)
class CandidateView:
    """An image as one mirror would name it, and the mirror's latest answer."""

    image: str
    reason: str
    chosen: bool
    status: MirrorState
    answer: str


@dataclass(frozen=True, slots=True)
class ExplanationView:
    """What a policy makes of an image, and why.

    Attributes:
        checks: Whether mirrors are asked at admission, which may choose another candidate.
        considered: The rules that match the image.
        unmatched: How many rules do not match it.
    """

    image: str
    policy: str
    outcome: Outcome
    result: str
    reason: str
    checks: bool
    candidates: list[CandidateView]
    considered: list[RuleMatchView]
    unmatched: int


@dataclass(frozen=True, slots=True)
class ReplicaRules:
    """The rules that a replica uses, since when, and whether it rejected the file since."""

    digest: Text
    loaded: AwareDatetime
    refused: bool


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a replica reports to clients that can read its metrics; *identity* is unique."""

    identity: Text
    name: Text
    version: Text
    started: AwareDatetime
    ready: bool
    problems: list[Text]
    rules: ReplicaRules
    certificate_expires: AwareDatetime


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica with the state that it reports, or with the *reason* why it does not."""

    name: str
    address: str
    this: bool
    status: Literal["ready", "not-ready", "no-answer"]
    reason: str
    state: ReplicaState | None


@dataclass(frozen=True, slots=True)
class ReplicaList:
    """All replicas by name; *reason* says why it is not *complete*."""

    replicas: list[Replica]
    complete: bool
    reason: str
    differences: list[str]


@dataclass(frozen=True, slots=True)
class ConsoleViews:
    """Collects what the console shows, at the time of each call.

    Attributes:
        started: When this replica started, in seconds since the epoch.
        identity: A random name of this process, to recognize itself among the replicas.
    """

    history: History
    rules: PolicyStore
    mirror_health: MirrorHealth
    certificate: ServingCertificate
    readiness: Readiness
    replica: str
    started: float
    identity: str = field(default_factory=lambda: token_hex(8))

    @property
    def _policies(self) -> Mapping[str, PolicySettings]:
        """The policies of the platform: of the rules file, and of the objects of the cluster."""
        return (self.rules.effective or self.rules.configuration).policies

    def get_replica_state(self) -> ReplicaState:
        """Return what this replica reports to the others: no image, Pod or rule."""
        state = self.get_state()
        return ReplicaState(
            identity=self.identity,
            name=state.replica,
            version=state.version,
            started=state.started,
            ready=state.ready,
            problems=state.problems,
            rules=ReplicaRules(state.rules.digest, state.rules.loaded, bool(state.rules.refused)),
            certificate_expires=state.certificate.expires,
        )

    def get_state(self) -> StateView:
        """Return the state of this replica."""
        configuration = self.rules.configuration
        problems = list(self.readiness.problems)
        reviewed = self.history.last_review
        return StateView(
            version=__version__,
            replica=self.replica,
            started=_utc(self.started),
            ready=not problems,
            problems=problems,
            reviewed=_utc(reviewed) if reviewed else None,
            certificate=CertificateView(str(self.certificate), self.certificate.expires_at),
            rules=RulesFileView(
                digest=configuration.digest[:12],
                loaded=_utc(self.rules.loaded_at),
                refused=list(self.rules.refused),
                warnings=list(configuration.warnings),
            ),
            policies=[
                PolicyView(name, policy.mode, len(policy.mirrors.rules), bool(policy.availability))
                for name, policy in self._policies.items()
            ],
        )

    def list_rules(self, text: str = "", offset: int = 0, limit: int | None = None) -> RulePage:
        """Return a page of the rules of all policies, with their mirrors.

        Those of namespaces come after those of the platform.

        Args:
            text: A part of the rule, of its profile, object or mirror; empty for all.
            offset: How many rules to leave out.
            limit: How many to return at most; None for all.
        """
        wanted = text.strip().lower()
        rules = [
            (policy, rule)
            for policy, rule in self._iterate_rules()
            if not wanted or any(wanted in each.lower() for each in _list_texts(rule))
        ]
        end = None if limit is None else offset + limit
        return RulePage(
            total=len(rules),
            offset=offset,
            rules=[
                RuleView(
                    policy=policy.name,
                    rule=rule.name,
                    profile=rule.source,
                    object=rule.owner,
                    keep=rule.keep,
                    mirrors=self._list_mirrors(policy, rule),
                )
                for policy, rule in rules[offset:end]
            ],
        )

    def _iterate_rules(self) -> Iterator[tuple[PolicySettings, Rule]]:
        for policy in self._policies.values():
            for rule in policy.mirrors.rules:
                yield policy, rule
        effective = self.rules.effective
        if effective is None:
            return
        for namespace in sorted(effective.namespaces):
            for name in effective.policies:
                found = effective.find(name, namespace)
                if found is not None and isinstance(found.mirrors, LayeredMap):
                    for rule in found.mirrors.team.rules:
                        yield found, rule

    def _list_mirrors(self, policy: PolicySettings, rule: Rule) -> list[MirrorView]:
        shares = self.history.shares
        counts = [shares.get((policy.name, rule.name, each.target), 0) for each in rule.mirrors]
        total = sum(counts)
        views = []
        for mirror, count in zip(rule.mirrors, counts, strict=True):
            status = self.mirror_health.get_status(policy.availability, mirror)
            share = count / total if total else None
            views.append(
                MirrorView(mirror.target, mirror.flatten, count, share, status.state, status.reason)
            )
        return views

    def explain(self, image: str, policy: str, namespace: str = "") -> ExplanationView:
        """Return what a policy makes of an image; no registry is asked.

        Args:
            image: The image.
            policy: Name of the policy.
            namespace: Namespace of the Pod; empty for one without rules of its own.

        Raises:
            UnknownPolicyError: There is no such policy.
        """
        effective = self.rules.effective
        settings = effective.find(policy, namespace) if effective else self._policies.get(policy)
        if settings is None:
            known = ", ".join(self._policies)
            raise UnknownPolicyError(f"there is no policy {policy!r}; there is: {known}")
        decision = settings.mirrors.decide(image)
        if settings.mode is Mode.OBSERVE:
            decision = decision.observe()
        candidates = []
        for candidate in decision.candidates:
            status = self.mirror_health.get_status(settings.availability, candidate.mirror)
            candidates.append(
                CandidateView(
                    image=candidate.image,
                    reason=candidate.reason,
                    chosen=candidate is decision.candidate,
                    status=status.state,
                    answer=status.reason,
                )
            )
        explained = explain_rules(settings.mirrors, decision)
        considered = [each for each in explained if each.kind is not MatchKind.UNMATCHED]
        return ExplanationView(
            image=image,
            policy=policy,
            outcome=decision.outcome,
            result=decision.image,
            reason=decision.reason,
            checks=settings.availability is not None,
            candidates=candidates,
            considered=[
                RuleMatchView(
                    rule=each.rule.name,
                    profile=each.rule.source,
                    object=each.rule.owner,
                    match=each.kind,
                    winner="" if each.winner is None else str(each.winner),
                    keep=each.rule.keep,
                    mirrors=[mirror.target for mirror in each.rule.mirrors],
                )
                for each in considered
            ],
            unmatched=len(settings.mirrors.rules) - len(considered),
        )


def _list_texts(rule: Rule) -> list[str]:
    return [rule.name, rule.source, rule.owner, *(mirror.target for mirror in rule.mirrors)]


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
