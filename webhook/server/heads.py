"""Heads of requests that need not be parsed again.

An API server sends the same head with each review, but for the length of the body. What
the parser has taken once, byte for byte, it takes again: to parse it, with a call for each
field, is a tenth of what a review costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Answerer", "KnownHead", "known_head"]

# From a body to the content of the answer, which is JSON; None for the application.
Answerer: TypeAlias = "Callable[[bytes], bytes | None]"

LENGTH: Final = b"\r\ncontent-length: "
LINE: Final = b"\r\n"
END: Final = b"\r\n\r\n"
START: Final = b"POST "
# A body of no more than a hundred thousand bytes; larger ones come in pieces.
MAX_DIGITS: Final = 5


class KnownHead(NamedTuple):
    """A head that was parsed, but for the digits of its ``Content-Length``.

    Attributes:
        before: What stands before the digits.
        behind: What stands behind them, with the end of the head.
        answer: Answers the bodies that come with it.
    """

    before: bytes
    behind: bytes
    answer: Answerer

    def body_of(self, data: bytes) -> bytes | None:
        """Return the body of a request with this head; None if *data* is anything else.

        Args:
            data: What came in where a request is to begin.
        """
        before, behind, _ = self
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(LINE, start, start + MAX_DIGITS + len(LINE))
        digits = data[start:end]
        # Of bytes, these are the digits of ASCII alone (RFC 9110, 8.6).
        if end < 0 or not digits.isdigit() or not data.startswith(behind, end):
            return None
        body = data[end + len(behind) :]
        return body if len(body) == int(digits) else None


def known_head(data: bytes, answer: Answerer) -> KnownHead | None:
    """Return the head of a request that was parsed and answered; None for an unusual one.

    Args:
        data: The request, as all that came in; a parser that bears with neither folded
            fields nor two lengths has taken it.
        answer: Answers the bodies that come with it.
    """
    head = data[: data.find(END) + len(END)]
    before, length, rest = head.lower().partition(LENGTH)
    start = len(before) + len(length)
    known = KnownHead(head[:start], head[start + rest.find(LINE) :], answer)
    is_whole = data.startswith(START) and known.body_of(data) is not None
    return known if is_whole else None
