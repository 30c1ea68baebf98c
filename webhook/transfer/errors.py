"""What can go wrong when an image is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.registry import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.registry import Finding

__all__ = ["SparseIndexError", "TransferError", "WrongContentError", "refusal"]

# Another attempt may have another answer.
TRANSIENT: Final = frozenset({Answer.LIMITED, Answer.FAILED, Answer.TIMEOUT, Answer.UNREACHABLE})
ADVICE: Final[Mapping[Answer, str]] = {
    Answer.UNAUTHORIZED: "name a file with its login by --credentials",
    Answer.FORBIDDEN: "its login has to be one that may read it",
    Answer.UNTRUSTED: "name its CA file by --ca",
}
# Words about having an image are none about taking one.
UNTAKEN: Final = frozenset({Answer.ABSENT, Answer.FORBIDDEN, Answer.UNEXPECTED})
UNTAKEN_ADVICE: Final[Mapping[Answer, str]] = {
    Answer.ABSENT: "the repository may have to be made there first",
    Answer.FORBIDDEN: "its login has to be one that may write there",
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
    what: str, registry: str, finding: Finding, retry: str = "", *, writes: bool = False
) -> TransferError:
    """Return the error for an answer of a registry.

    Args:
        what: What was asked for.
        registry: Who answered.
        finding: What the answer means.
        retry: Header ``Retry-After``; only seconds are understood.
        writes: Whether something was to be written there.
    """
    advice, reason = ADVICE.get(finding.answer, ""), finding.reason
    if writes and finding.answer in UNTAKEN:
        advice = UNTAKEN_ADVICE.get(finding.answer, "")
        reason = f"does not take it ({finding.detail})"
    problem = f"{what}: {registry} {reason}"
    return TransferError(
        f"{problem}: {advice}" if advice else problem,
        is_transient=finding.answer in TRANSIENT,
        pause=min(float(retry), LONGEST_PAUSE) if retry.isdecimal() else 0.0,
    )
