"""What the console shows, as values: the page and the JSON are made of the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations

from webhook.core import MatchKind, Outcome  # noqa: TC001 - as above
from webhook.server.health import Standing  # noqa: TC001 - as above

__all__ = [
    "CandidateRow",
    "CertificateState",
    "ConsideredRow",
    "DecisionRow",
    "Explanation",
    "MinuteRow",
    "MirrorRow",
    "PolicyState",
    "RuleRow",
    "RulesState",
    "State",
]


@dataclass(frozen=True, slots=True)
class CertificateState:
    """The certificate that reviews are served with."""

    source: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class RulesState:
    """The rules file.

    Attributes:
        digest: Which content is in use.
        loaded: Since when.
        refused: What is wrong with the file as it is now; empty where it is in use.
        warnings: What is allowed and may not be meant.
    """

    digest: str
    loaded: datetime
    refused: list[str]
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A policy and its options."""

    name: str
    mode: str
    rules: int
    checks: bool


@dataclass(frozen=True, slots=True)
class State:
    """The state of one replica.

    Attributes:
        replica: Its name.
        started: Since when it runs.
        ready: Whether reviews should come here.
        problems: Why not.
        reviewed: When the last review came; None before the first.
    """

    version: str
    replica: str
    started: datetime
    ready: bool
    problems: list[str]
    reviewed: datetime | None
    certificate: CertificateState
    rules: RulesState
    policies: list[PolicyState]


@dataclass(frozen=True, slots=True)
class MirrorRow:
    """A mirror of a rule.

    Attributes:
        images: How many images were sent there since the start.
        share: Their part of all that this rule rewrote; None where it is none yet.
        standing: Whether it answers.
        reason: Its latest answer in words.
    """

    target: str
    flatten: bool
    images: int
    share: float | None
    standing: Standing
    reason: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule of a policy."""

    policy: str
    rule: str
    profile: str
    keep: bool
    mirrors: list[MirrorRow]


@dataclass(frozen=True, slots=True)
class MinuteRow:
    """How many images of one minute were rewritten, left alone, or decided on doubt."""

    start: datetime
    rewritten: int
    left: int
    doubtful: int


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What became of one image, or of a Pod none of whose images was looked at.

    Attributes:
        dry: Whether nothing was to be stored.
        container: Where the image stands; empty for a whole Pod, as *image* is.
        outcome: As in the metrics; or ``skipped`` or ``error`` for a whole Pod.
    """

    time: datetime
    policy: str
    namespace: str
    pod: str
    operation: str
    dry: bool
    container: str
    image: str
    outcome: str
    rule: str
    candidate: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConsideredRow:
    """A rule, and what it has to do with an image.

    Attributes:
        winner: The rule that wins over it, where it is shadowed.
    """

    rule: str
    profile: str
    bearing: MatchKind
    winner: str
    keep: bool
    mirrors: list[str]


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """An image as one mirror would name it."""

    image: str
    reason: str
    chosen: bool
    standing: Standing
    answer: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of an image under a policy, and why.

    Attributes:
        checks: Whether mirrors are asked at admission, which may choose another candidate.
    """

    image: str
    policy: str
    outcome: Outcome
    result: str
    reason: str
    checks: bool
    candidates: list[CandidateRow]
    considered: list[ConsideredRow]
