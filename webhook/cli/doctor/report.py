"""The findings of `mirrorhook doctor`, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from webhook.cli.output import show_records
from webhook.kube import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "Finding",
    "FindingStatus",
    "catch_errors",
    "describe_finding",
    "report_note",
    "report_ok",
    "report_unknown",
    "report_wrong",
    "show_findings",
]


class FindingStatus(StrEnum):
    """What a finding means."""

    OK = "ok"
    NOTE = "note"  # may be intended, and explains why nothing is rewritten
    WRONG = "wrong"
    UNKNOWN = "unknown"  # it could not be checked


STYLES: Final = {
    FindingStatus.OK: "green",
    FindingStatus.NOTE: "yellow",
    FindingStatus.WRONG: "red",
    FindingStatus.UNKNOWN: "dim",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        check: What was checked, in a few words.
        status: What it means.
        text: What was found, in a sentence.
        fix: The command or step that fixes it; empty if nothing is to be done.
    """

    check: str
    status: FindingStatus
    text: str
    fix: str = ""


def report_ok(check: str, text: str) -> Finding:
    """Return the finding that something is correct."""
    return Finding(check, FindingStatus.OK, text)


def report_note(check: str, text: str, fix: str = "") -> Finding:
    """Return the finding that something may be intended, and explains what happens."""
    return Finding(check, FindingStatus.NOTE, text, fix)


def report_wrong(check: str, text: str, fix: str) -> Finding:
    """Return the finding that something is wrong, with what fixes it."""
    return Finding(check, FindingStatus.WRONG, text, fix)


def report_unknown(check: str, text: str, fix: str = "") -> Finding:
    """Return the finding that something could not be checked."""
    return Finding(check, FindingStatus.UNKNOWN, text, fix)


def catch_errors(check: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings; if the API server refuses what a check needs, that is the last one."""
    try:
        yield from findings
    except ClusterError as error:
        yield report_unknown(check, str(error))


def show_findings(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Show each finding as soon as it is found, and yield it."""
    for each in findings:
        rows = [(f"{each.status:<7}", STYLES[each.status], f"{each.check}: {each.text}")]
        if each.fix:
            rows.append(("fix", "bold", each.fix))
        show_records(rows)
        yield each


def describe_finding(finding: Finding) -> dict[str, Any]:
    """Return a finding with the keys that ``--output json`` promises."""
    return {
        "check": finding.check,
        "status": str(finding.status),
        "message": finding.text,
        "fix": finding.fix or None,
    }
