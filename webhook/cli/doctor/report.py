"""What one look has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Verdict", "doubt", "fine", "unknown", "wrong"]


class Verdict(StrEnum):
    """How it stands."""

    FINE = "ok"
    DOUBT = "note"  # as it is meant, perhaps
    WRONG = "wrong"
    UNKNOWN = "unknown"  # it could not be looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look has found.

    Attributes:
        check: What was looked at, in a few words.
        verdict: How it stands.
        what: What there is, in a sentence.
        mend: Command or step that mends it; empty where there is nothing to mend.
    """

    check: str
    verdict: Verdict
    what: str
    mend: str = ""


def fine(check: str, what: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check, Verdict.FINE, what)


def doubt(check: str, what: str, mend: str = "") -> Finding:
    """Return that something may be meant, and explains why nothing is rewritten."""
    return Finding(check, Verdict.DOUBT, what, mend)


def wrong(check: str, what: str, mend: str) -> Finding:
    """Return that something is wrong, and what mends it."""
    return Finding(check, Verdict.WRONG, what, mend)


def unknown(check: str, what: str, mend: str = "") -> Finding:
    """Return that something could not be looked at."""
    return Finding(check, Verdict.UNKNOWN, what, mend)
