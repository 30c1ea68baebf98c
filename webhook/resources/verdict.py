"""Whether an object is in use, and why: its conditions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from webhook.core.errors import shorten

if TYPE_CHECKING:
    from webhook.config.errors import Problem
    from webhook.resources.objects import ResourceObject

__all__ = ["Reason", "Refusal", "Verdict", "list_conditions"]

MAX_SHOWN: Final = 5  # problems
MAX_MESSAGE: Final = 4096  # characters; the API server allows 32,768


class Reason(StrEnum):
    """Why an object is accepted or refused: the reason of its conditions."""

    ACCEPTED = "Accepted"
    INVALID = "Invalid"  # something is wrong with the object itself
    CONFLICT = "Conflict"  # an older object says something else
    CYCLE = "Cycle"  # with other rules, its mirrors lead back to each other
    POLICY_NOT_FOUND = "PolicyNotFound"
    NOT_DELEGATED = "NotDelegated"  # its namespace may not bring rules
    MIRROR_NOT_ALLOWED = "MirrorNotAllowed"
    NOT_ALLOWED = "NotAllowed"  # a key that only the platform may set


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an object cannot be used."""

    reason: Reason
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an object is in use, and why.

    Attributes:
        object: The object.
        reason: Why it is accepted or refused.
        problems: What is wrong with it.
        in_use: The generation that is in use; None for none. It is older than that of the
            object if that is refused.
    """

    object: ResourceObject
    reason: Reason = Reason.ACCEPTED
    problems: tuple[Problem, ...] = ()
    in_use: int | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the current generation is in use."""
        return self.reason is Reason.ACCEPTED

    @property
    def message(self) -> str:
        """The reason in words."""
        if self.is_accepted:
            spec = self.object.spec
            rules = _count(len(spec.rules), "rule")
            profiles = _count(len(spec.profiles), "profile")
            names = f" and {profiles} ({', '.join(spec.profiles)})" if spec.profiles else ""
            return f"{rules}{names} in use"
        texts = [str(replace(problem, origin="")) for problem in self.problems[:MAX_SHOWN]]
        more = len(self.problems) - MAX_SHOWN
        if more > 0:
            texts.append(f"and {_count(more, 'more problem')}")
        return shorten("; ".join(texts), MAX_MESSAGE)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def list_conditions(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the conditions of an object, without their times."""
    current, used = verdict.object.generation, verdict.in_use
    if verdict.is_accepted:
        programmed, degraded = "the rules of this generation are in use", "nothing is wrong"
    else:
        state = "no rules of this object are in use"
        if used is not None:
            state = f"the rules of generation {used}, the last one that was accepted, are in use"
        programmed = degraded = state
    rows = (
        ("Accepted", verdict.is_accepted, str(verdict.reason), verdict.message),
        ("Programmed", verdict.is_accepted, str(verdict.reason), programmed),
        ("Degraded", not verdict.is_accepted, str(verdict.reason), degraded),
    )
    return [
        {
            "type": kind,
            "status": str(status),
            "reason": reason,
            "message": message,
            "observedGeneration": current,
        }
        for kind, status, reason, message in rows
    ]
