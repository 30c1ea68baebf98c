"""What can go wrong when an image is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.registry import CheckStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.registry import CheckResult

__all__ = ["SparseIndexError", "TransferError", "WrongContentError", "refusal"]

# Another attempt may have another answer.
TRANSIENT: Final = frozenset(
    {CheckStatus.LIMITED, CheckStatus.FAILED, CheckStatus.TIMEOUT, CheckStatus.UNREACHABLE}
)
ADVICE: Final[Mapping[CheckStatus, str]] = {
    CheckStatus.UNAUTHORIZED: "name a file with its login by --credentials",
    CheckStatus.FORBIDDEN: "its login has to be one that may read it",
    CheckStatus.UNTRUSTED: "name its CA file by --ca",
}
# Words about having an image are none about taking one.
UNTAKEN: Final = frozenset({CheckStatus.ABSENT, CheckStatus.FORBIDDEN, CheckStatus.UNEXPECTED})
UNTAKEN_ADVICE: Final[Mapping[CheckStatus, str]] = {
    CheckStatus.ABSENT: "the repository may have to be made there first",
    CheckStatus.FORBIDDEN: "its login has to be one that may write there",
}
LONGEST_PAUSE: Final = 60.0


class TransferError(Exception):
    """An image, or a part of it, that could not be copied; the message says what and where.

    Args:
        problem: What is wrong, as a sentence.
        is_transient: Whether another attempt may succeed.
        pause: Seconds that the registry asks to wait for before it; 0 if it does not say.
    """

    def __init__(self, problem: str, *, is_transient: bool = False, pause: float = 0.0) -> None:
        super().__init__(problem)
        self.is_transient = is_transient
        self.pause = pause


class WrongContentError(TransferError):
    """Content that is not what its digest says."""


class SparseIndexError(TransferError):
    """A registry that takes no index of which platforms are missing."""


def refusal(
    what: str, registry: str, finding: CheckResult, retry: str = "", *, writes: bool = False
) -> TransferError:
    """Return the error for an answer of a registry.

    Args:
        what: What was asked for.
        registry: Who answered.
        finding: What the answer means.
        retry: Header ``Retry-After``; only seconds are understood.
        writes: Whether something was to be written there.
    """
    advice, reason = ADVICE.get(finding.status, ""), finding.reason
    if writes and finding.status in UNTAKEN:
        advice = UNTAKEN_ADVICE.get(finding.status, "")
        reason = f"does not take it ({finding.detail})"
    problem = f"{what}: {registry} {reason}"
    return TransferError(
        f"{problem}: {advice}" if advice else problem,
        is_transient=finding.status in TRANSIENT,
        pause=min(float(retry), LONGEST_PAUSE) if retry.isdecimal() else 0.0,
    )
