"""How a registry asks for a login: the header ``WWW-Authenticate`` (`RFC 9110`_).

.. _RFC 9110: https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Challenge", "parse_challenges", "preferred"]

TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - the token of RFC 9110
QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
PARAMETER: Final = re.compile(rf"({TOKEN})\s*=\s*({TOKEN}|{QUOTED})")
SCHEME: Final = re.compile(rf"({TOKEN})(?:\s+|$|(?=,))")
SEPARATOR: Final = re.compile(r"[\s,]*")
ESCAPE: Final = re.compile(r"\\(.)")
# Longer ones are attacks on the reader.
MAX_HEADER: Final = 8192

BEARER: Final = "bearer"
BASIC: Final = "basic"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in.

    Attributes:
        scheme: ``bearer``, ``basic`` …, in lower case.
        realm: For ``bearer`` the URL that gives tokens.
        service: What it calls the registry.
        scope: What the token has to be for; empty if it does not say.
    """

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read the challenges of an answer; what is not of the grammar ends the reading.

    Args:
        headers: The values of ``WWW-Authenticate``, each with one challenge or more.
    """
    return [
        challenge
        for header in headers
        if len(header) <= MAX_HEADER
        for challenge in challenges_in(header)
    ]


def challenges_in(header: str) -> Iterator[Challenge]:
    """Yield the challenges in one header."""
    at = skipped(header, 0)
    while at < len(header):
        scheme = SCHEME.match(header, at)
        if scheme is None:
            return
        at = skipped(header, scheme.end())
        parameters: dict[str, str] = {}
        while found := PARAMETER.match(header, at):
            parameters.setdefault(found[1].lower(), unquoted(found[2]))
            at = skipped(header, found.end())
        yield Challenge(
            scheme[1].lower(),
            parameters.get("realm", ""),
            parameters.get("service", ""),
            parameters.get("scope", ""),
        )


def preferred(challenges: Iterable[Challenge]) -> Challenge | None:
    """Return the challenge to answer: a token, else a password; None if there is neither."""
    by_scheme = {challenge.scheme: challenge for challenge in reversed([*challenges])}
    return by_scheme.get(BEARER) or by_scheme.get(BASIC)


def skipped(header: str, at: int) -> int:
    """Return where the next thing begins behind white space and commas."""
    found = SEPARATOR.match(header, at)
    return found.end() if found else at


def unquoted(value: str) -> str:
    """Return the value of a parameter."""
    return ESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') else value
