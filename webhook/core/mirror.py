"""Mirrors: the targets that take the place of what a rule matched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.core.errors import InvalidRuleError, quoted
from webhook.core.pattern import Template
from webhook.core.reference import (
    DOCKER_HUB,
    LEGACY_DOCKER_HUB,
    is_domain,
    is_path,
    names_registry,
)

if TYPE_CHECKING:
    from webhook.core.allowlist import Allowlist

__all__ = ["Mirror"]


@dataclass(frozen=True, slots=True)
class Mirror:
    r"""A target that takes the place of what a rule matched.

    Args:
        target: ``host[:port][/path]``; in a rule with a regular expression the
            whole new name, with ``\1`` for its groups.
        flatten: Keep the last part of the repository only.
        pull_secrets: Names of the Secrets that a Pod needs to pull from it.
        allowlist: The images that it has; None for any.

    Raises:
        InvalidRuleError: The target could not start an image name.
    """

    target: str
    flatten: bool = False
    pull_secrets: tuple[str, ...] = ()
    allowlist: Allowlist | None = None

    def __post_init__(self) -> None:
        sample = Template(self.target).filled("x")
        registry, slash, path = sample.partition("/")

        def refuse(problem: str) -> InvalidRuleError:
            text = f"mirror {quoted(self.target)} {problem}"
            return InvalidRuleError(text, field="target")

        if "://" in sample:
            raise refuse("has a scheme; write host[:port][/path] alone")
        if not is_domain(registry):
            raise refuse("does not start with a registry host")
        if not names_registry(registry) and not self.is_template:
            raise refuse(
                f"would be read as a name on Docker Hub, as {registry!r} has neither "
                f"'.' nor ':'; write {registry}:443 or docker.io/{self.target}"
            )
        if slash and not is_path(path):
            if ":" in path or "@" in path:
                raise refuse("has a tag or digest, which a mirror cannot have")
            raise refuse(f"has {quoted(path)} for a path, which no repository can have")
        if registry == LEGACY_DOCKER_HUB:
            target = DOCKER_HUB + self.target.removeprefix(LEGACY_DOCKER_HUB)
            object.__setattr__(self, "target", target)

    @property
    def is_template(self) -> bool:
        """Whether the target holds groups of a regular expression."""
        return "\\" in self.target

    @property
    def registry(self) -> str:
        """The registry of the target."""
        return self.target.partition("/")[0]

    def holds(self, name: str) -> bool:
        """Say whether *name* (registry, or registry and repository) lies under the target."""
        if self.is_template:
            return Template(self.target).could_have_made(name)
        return name == self.target or name.startswith(self.target + "/")
