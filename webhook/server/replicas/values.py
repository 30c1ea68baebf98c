"""What is known of replicas, as values, and in what they differ."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Difference",
    "Presence",
    "ReplicaRow",
    "ReplicaState",
    "Replicas",
    "RulesInReplica",
    "differences",
]


class Presence(StrEnum):
    """Whether a replica is there."""

    READY = "ready"
    NOT_READY = "not-ready"
    SILENT = "no-answer"


class Difference(StrEnum):
    """In what replicas differ that should be the same."""

    VERSION = "version"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class RulesInReplica:
    """The rules file, without a word of what is in it.

    Attributes:
        digest: Which content is in use.
        loaded: Since when.
        refused: Whether the file as it is now was refused, so that older rules stay.
    """

    digest: str
    loaded: datetime
    refused: bool


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a replica tells of itself to whoever can reach its metrics.

    Attributes:
        identity: A number that no other process has.
        name: What its host is called: in a Pod, the Pod.
        started: Since when it runs.
        ready: Whether reviews should come there.
        problems: Why not.
        certificate_expires: When the certificate that it serves with expires.
    """

    identity: str
    name: str
    version: str
    started: datetime
    ready: bool
    problems: list[str]
    rules: RulesInReplica
    certificate_expires: datetime


@dataclass(frozen=True, slots=True)
class ReplicaRow:
    """One replica.

    Attributes:
        name: The Pod, as the cluster calls it; or the host, as it calls itself.
        address: Where it was asked; empty for this replica, where nobody has to ask.
        this: Whether it is the replica that tells this.
        presence: Whether it is there.
        reason: Why it is not ready, or gives no answer.
        state: What it says of itself; None where it gives no answer.
    """

    name: str
    address: str
    this: bool
    presence: Presence
    reason: str
    state: ReplicaState | None


@dataclass(frozen=True, slots=True)
class Replicas:
    """All replicas that are known.

    Attributes:
        replicas: They, by name.
        complete: Whether these are all that have an address.
        reason: Why only this replica is known; empty where these are all.
        differences: In what those that answer differ: `version`, while a rolling update is
            in progress or stopped halfway; `rules`, while a change gets about, or where a
            replica did not take it.
    """

    replicas: list[ReplicaRow]
    complete: bool
    reason: str
    differences: list[Difference]


def differences(states: Iterable[ReplicaState]) -> list[Difference]:
    """Return in what replicas differ."""
    known = list(states)
    aspects = {
        Difference.VERSION: {each.version for each in known},
        Difference.RULES: {each.rules.digest for each in known},
    }
    return [aspect for aspect, values in aspects.items() if len(values) > 1]
