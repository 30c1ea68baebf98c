"""What a registry said when it was asked for an image, and what that means.

Nothing that a registry writes gets into the words: it could write back what it
was sent, a password among it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FAILURES", "Answer", "Finding", "Presence"]


class Presence(Enum):
    """Whether an image is there."""

    PRESENT = auto()
    ABSENT = auto()
    UNKNOWN = auto()


class Answer(StrEnum):
    """What came back; also a label of the metric."""

    PRESENT = "present"
    ABSENT = "absent"  # 404
    FORBIDDEN = "forbidden"  # 403
    PAGE = "page"  # 200, and no manifest
    MISDIRECTED = "misdirected"  # a redirect to nowhere
    PLATFORM = "platform"
    MISMATCH = "mismatch"
    UNAUTHORIZED = "unauthorized"  # 401
    LIMITED = "limited"  # 429
    FAILED = "failed"  # 5xx
    UNEXPECTED = "unexpected"  # any other status
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    UNTRUSTED = "untrusted"  # its certificate
    UNVERIFIED = "unverified"  # nothing to compare the digest with
    DOWN = "down"  # it is not asked, as it failed time and again
    PENDING = "pending"  # the answer did not come within the budget
    BUSY = "busy"  # too many questions at once
    ERROR = "error"  # of ours

    @property
    def presence(self) -> Presence:
        """What it says of the image."""
        if self is Answer.PRESENT:
            return Presence.PRESENT
        return Presence.ABSENT if self in DEFINITE else Presence.UNKNOWN


# No runtime could pull the image either, whatever its credentials.
DEFINITE: Final = frozenset(
    {
        Answer.ABSENT,
        Answer.FORBIDDEN,
        Answer.PAGE,
        Answer.MISDIRECTED,
        Answer.PLATFORM,
        Answer.MISMATCH,
    }
)
# These say something of the registry, and nothing of the image.
FAILURES: Final = frozenset(
    {
        Answer.LIMITED,
        Answer.FAILED,
        Answer.TIMEOUT,
        Answer.UNREACHABLE,
        Answer.UNTRUSTED,
    }
)
WORDS: Final[Mapping[Answer, str]] = {
    Answer.PRESENT: "has it",
    Answer.ABSENT: "does not have it",
    Answer.FORBIDDEN: "refuses to give it",
    Answer.PAGE: "answers with something that is no manifest",
    Answer.MISDIRECTED: "redirects to nowhere",
    Answer.PLATFORM: "has it for other platforms only",
    Answer.MISMATCH: "has another image under that name",
    Answer.UNAUTHORIZED: "asks for a login",
    Answer.LIMITED: "limits the rate",
    Answer.FAILED: "fails",
    Answer.UNEXPECTED: "answers what no registry should",
    Answer.TIMEOUT: "does not answer in time",
    Answer.UNREACHABLE: "cannot be reached",
    Answer.UNTRUSTED: "has a certificate that is not trusted",
    Answer.UNVERIFIED: "has an image that cannot be verified",
    Answer.DOWN: "is not asked, as it failed time and again",
    Answer.PENDING: "did not answer within the budget of the review",
    Answer.BUSY: "is not asked, as too many questions are open",
    Answer.ERROR: "could not be asked, by an error of ours",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question.

    Attributes:
        answer: What came back.
        detail: More of it in words, never those of the registry.
        digest: The digest of the manifest, where it is there and was told.
        seconds: How long it took.
    """

    answer: Answer
    detail: str = ""
    digest: str = ""
    seconds: float = 0.0

    @property
    def presence(self) -> Presence:
        """What it says of the image."""
        return self.answer.presence

    @property
    def reason(self) -> str:
        """The answer in words, as the end of a sentence about the registry."""
        words = WORDS[self.answer]
        return f"{words} ({self.detail})" if self.detail else words
