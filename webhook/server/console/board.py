"""Gathering what the console shows from the parts of the running webhook."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from secrets import token_hex
from typing import TYPE_CHECKING

from webhook import __version__
from webhook.core import explain_rules
from webhook.server.console.values import (
    CandidateRow,
    CertificateState,
    ConsideredRow,
    DecisionRow,
    Explanation,
    MinuteRow,
    MirrorRow,
    PolicyState,
    RuleRow,
    RulesState,
    State,
)
from webhook.server.replicas import ReplicaState, RulesInReplica

if TYPE_CHECKING:
    from webhook.config import PolicySettings
    from webhook.core import Rule
    from webhook.server.certificates import ServingCertificate
    from webhook.server.console.filter import Filter
    from webhook.server.history import History
    from webhook.server.probing import Probers
    from webhook.server.readiness import Readiness
    from webhook.server.rules import RulesInUse

__all__ = ["Board", "UnknownPolicyError"]


class UnknownPolicyError(LookupError):
    """There is no such policy; the message names those that there are."""


@dataclass(frozen=True, slots=True)
class Board:
    """What the console shows, as it is at each call.

    Attributes:
        history: The latest decisions.
        rules: The rules in use.
        probers: What is known of mirrors.
        certificate: The certificate in use.
        readiness: Whether this replica should get requests.
        replica: Its name.
        started: Since when it runs, in seconds since the epoch.
        identity: What tells it from all others, whatever they are called.
    """

    history: History
    rules: RulesInUse
    probers: Probers
    certificate: ServingCertificate
    readiness: Readiness
    replica: str
    started: float
    identity: str = field(default_factory=lambda: token_hex(8))

    def own(self) -> ReplicaState:
        """Return what the other replicas are told of this one."""
        problems = self.readiness.problems
        return ReplicaState(
            identity=self.identity,
            name=self.replica,
            version=__version__,
            started=moment(self.started),
            ready=not problems,
            problems=list(problems),
            rules=RulesInReplica(
                digest=self.rules.configuration.digest[:12],
                loaded=moment(self.rules.loaded_at),
                refused=bool(self.rules.refused),
            ),
            certificate_expires=self.certificate.expires_at,
        )

    def state(self) -> State:
        """Return the state of this replica."""
        configuration = self.rules.configuration
        problems = self.readiness.problems
        last = self.history.last_review
        return State(
            version=__version__,
            replica=self.replica,
            started=moment(self.started),
            ready=not problems,
            problems=list(problems),
            reviewed=moment(last) if last else None,
            certificate=CertificateState(str(self.certificate), self.certificate.expires_at),
            rules=RulesState(
                digest=configuration.digest[:12],
                loaded=moment(self.rules.loaded_at),
                refused=list(self.rules.refused),
                warnings=list(configuration.warnings),
            ),
            policies=[
                PolicyState(name, policy.mode, len(policy.mirrors.rules), bool(policy.availability))
                for name, policy in configuration.policies.items()
            ],
        )

    def rule_rows(self) -> list[RuleRow]:
        """Return every rule of every policy, with its mirrors."""
        return [
            RuleRow(
                policy=name,
                rule=rule.name,
                profile=rule.source,
                keep=rule.keep,
                mirrors=self._mirror_rows(policy, rule),
            )
            for name, policy in self.rules.configuration.policies.items()
            for rule in policy.mirrors.rules
        ]

    def _mirror_rows(self, policy: PolicySettings, rule: Rule) -> list[MirrorRow]:
        counts = [
            self.history.shares.get((policy.name, rule.name, mirror.target), 0)
            for mirror in rule.mirrors
        ]
        total = sum(counts)
        rows = []
        for mirror, count in zip(rule.mirrors, counts, strict=True):
            health = self.probers.health(policy.availability, mirror)
            share = count / total if total else None
            rows.append(
                MirrorRow(
                    mirror.target,
                    mirror.flatten,
                    count,
                    share,
                    health.standing,
                    health.reason,
                )
            )
        return rows

    def minutes(self) -> list[MinuteRow]:
        """Return the last hour by minutes, this one last."""
        return [
            MinuteRow(moment(each.start), each.rewritten, each.left, each.doubtful)
            for each in self.history.last_hour()
        ]

    def decisions(self, wanted: Filter, limit: int) -> list[DecisionRow]:
        """Return the latest decisions that pass a filter, the latest first."""
        passing = (note for note in self.history.latest() if wanted.passes(note))
        return [DecisionRow(moment(note.time), *note[1:]) for note in islice(passing, limit)]

    def explain(self, image: str, policy: str) -> Explanation:
        """Return what would become of an image, without asking anybody for it.

        Raises:
            UnknownPolicyError: There is no such policy.
        """
        settings = self.rules.configuration.policies.get(policy)
        if settings is None:
            known = ", ".join(self.rules.configuration.policies)
            raise UnknownPolicyError(f"there is no policy {policy!r}; there is: {known}")
        decision = settings.mirrors.decide(image)
        candidates = []
        for candidate in decision.candidates:
            health = self.probers.health(settings.availability, candidate.mirror)
            candidates.append(
                CandidateRow(
                    image=str(candidate),
                    reason=candidate.reason,
                    chosen=candidate is decision.candidate,
                    standing=health.standing,
                    answer=health.reason,
                )
            )
        return Explanation(
            image=image,
            policy=policy,
            outcome=decision.outcome,
            result=decision.image,
            reason=decision.reason,
            checks=settings.availability is not None,
            candidates=candidates,
            considered=[
                ConsideredRow(
                    rule=each.rule.name,
                    profile=each.rule.source,
                    bearing=each.kind,
                    winner="" if each.winner is None else str(each.winner),
                    keep=each.rule.keep,
                    mirrors=[mirror.target for mirror in each.rule.mirrors],
                )
                for each in explain_rules(settings.mirrors, decision)
            ],
        )


def moment(seconds: float) -> datetime:
    """Return a time, of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)
