"""What a rule matches: registries, paths below them, subdomains, or everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webhook.core.errors import InvalidRuleError, quoted
from webhook.core.reference import DOCKER_HUB, LEGACY_DOCKER_HUB, is_domain, is_path

__all__ = ["EVERY_REGISTRY", "Match", "parse_match"]

EVERY_REGISTRY: Final = "*"
SUBDOMAINS: Final = "*."


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule matches: a registry, and a path below it in whole parts.

    Attributes:
        registry: A registry, ``*.`` and a domain, or ``*``.
        path: Leading parts of the repository, ``bitnami`` or ``a/b``; may be empty.
    """

    registry: str
    path: str = ""

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for the subdomains of a domain."""
        return self.registry.startswith(SUBDOMAINS)

    @property
    def is_everything(self) -> bool:
        """Whether it stands for every registry that no other rule matches."""
        return self.registry == EVERY_REGISTRY

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}" if self.path else self.registry


def parse_match(text: str) -> Match:
    """Read the ``match`` of a rule.

    Raises:
        InvalidRuleError: It is no registry, with or without a path; the message
            says what to write instead.
    """

    def refuse(problem: str) -> InvalidRuleError:
        return InvalidRuleError(f"match {quoted(text)} {problem}", field="match")

    if text == EVERY_REGISTRY:
        return Match(EVERY_REGISTRY)
    registry, slash, path = text.partition("/")
    domain = registry.removeprefix(SUBDOMAINS)
    if "*" in domain or "*" in path:
        raise refuse('has a "*" that is neither alone nor a leading "*."')
    if not is_domain(domain):
        problem = "does not start with a registry host such as docker.io"
        raise refuse(problem)
    if slash and not is_path(path):
        if ":" in path or "@" in path:
            raise refuse("has a tag or digest; rules match repositories only")
        raise refuse(f"has {quoted(path)} for a path, which no repository can have")
    if domain == LEGACY_DOCKER_HUB and registry == domain:
        registry = DOCKER_HUB
    return Match(registry, path)
