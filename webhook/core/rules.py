r"""Rules as they are applied: what they match, and where their mirrors are.

A match is a registry or a registry and whole path parts (``registry.k8s.io``,
``docker.io/bitnami``), any subdomain (``*.gcr.io``, as in
`containers-registries.conf`_), or every registry (``*``). A regular expression
is matched whole against ``registry/repository``, by RE2 and so in linear time;
``\1`` … ``\9`` in its mirrors are its groups, ``\0`` the whole name.

.. _containers-registries.conf: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from webhook.core.errors import InvalidReferenceError, InvalidRuleError, quoted
from webhook.core.match import parse_match
from webhook.core.mirror import Mirror
from webhook.core.pattern import Pattern, Template
from webhook.core.reference import ImageReference, names_registry, parse_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.core.match import Match

__all__ = ["Original", "Rule"]


class Original(StrEnum):
    """When the image's own registry is tried, where availability is checked."""

    LAST = "last"
    FIRST = "first"
    NEVER = "never"


@dataclass(frozen=True, init=False)
class Rule:
    """What to do with the images that one match or regular expression covers.

    Args:
        match: See `parse_match`; or None where *regex* is given.
        mirrors: Mirrors in order of preference; a text is a mirror by its target.
        regex: Regular expression in RE2 syntax, matched whole.
        keep: Leave these images alone.
        original: When the image's own registry is tried, with availability checks.
        source: The profile that the rule comes from; empty for the user's own.
        verify: With availability checks: take an image from a mirror only if its digest
            is that of the original, or of the same image at *trusted*.
        trusted: Where to learn the digest; None for the image's own registry.

    Raises:
        InvalidRuleError: The parts do not make a rule together.
    """

    match: Match | None
    pattern: Pattern | None
    mirrors: tuple[Mirror, ...]
    keep: bool
    original: Original
    source: str
    verify: bool
    trusted: Mirror | None

    def __init__(
        self,
        match: str | None = None,
        mirrors: Iterable[Mirror | str] = (),
        *,
        regex: str | None = None,
        keep: bool = False,
        original: Original = Original.LAST,
        source: str = "",
        verify: bool = False,
        trusted: Mirror | None = None,
    ) -> None:
        if (match is None) == (regex is None):
            raise InvalidRuleError("a rule has either match or regex")
        values = {
            "match": None if match is None else parse_match(match),
            "pattern": None if regex is None else Pattern(regex),
            "mirrors": tuple(m if isinstance(m, Mirror) else Mirror(m) for m in mirrors),
            "keep": keep,
            "original": original,
            "source": source,
            "verify": verify,
            "trusted": trusted,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check()

    @cached_property
    def _under(self) -> tuple[str, ...]:
        """What a name with a slash behind it begins with if it lies under a mirror."""
        if self.match is not None and self.match.is_everything:
            return tuple(f"{mirror.registry}/" for mirror in self.mirrors)
        return tuple(f"{each.target}/" for each in self.mirrors if not each.is_template)

    def _check(self) -> None:
        if self.keep and self.mirrors:
            raise InvalidRuleError("a rule has either mirrors or keep: true", field="keep")
        if not self.keep and not self.mirrors:
            problem = "mirrors is empty; name one, or write keep: true"
            raise InvalidRuleError(problem, field="mirrors")
        if self.trusted is not None and not self.verify:
            problem = "trusted says where to learn digests: write verify: digest as well"
            raise InvalidRuleError(problem, field="trusted")
        if self.keep and self.verify:
            raise InvalidRuleError("what is kept is not verified", field="verify")
        self._check_targets()

    def _check_targets(self) -> None:
        places = [(f"mirrors[{n}]", mirror) for n, mirror in enumerate(self.mirrors)]
        if self.trusted is not None:
            places.append(("trusted", self.trusted))
        for place, mirror in places:
            if self.pattern is None and mirror.is_template:
                problem = f"mirror {quoted(mirror.target)} has groups, but no regex"
                raise InvalidRuleError(problem, field=place)
            if self.pattern is None:
                continue
            if mirror.flatten:
                problem = "flatten has no meaning with a regex: write the whole target"
                raise InvalidRuleError(problem, field=place)
            highest = Template(mirror.target).highest_group
            if highest > self.pattern.groups:
                problem = (
                    f"mirror {quoted(mirror.target)} uses group {highest}, "
                    f"and the regex has {self.pattern.groups}"
                )
                raise InvalidRuleError(problem, field=place)

    @cached_property
    def name(self) -> str:
        """The rule's match or regular expression: its name in reasons and metrics."""
        return str(self.match) if self.match is not None else f"/{self.pattern}/"

    @cached_property
    def label(self) -> str:
        """Its name, and the profile that it comes from; what ``str()`` gives."""
        return f"{self.name} (profile {self.source})" if self.source else self.name

    def __str__(self) -> str:
        return self.label

    def is_mirrored(self, name: str) -> bool:
        """Say whether *name* lies under one of this rule's own mirrors.

        Nothing at the registries of a rule for every registry is sent through
        them again, wherever it lies there.
        """
        if f"{name}/".startswith(self._under):
            return True
        return self.pattern is not None and any(
            mirror.holds(name) for mirror in self.mirrors if mirror.is_template
        )

    def name_at(self, mirror: Mirror, registry: str, repository: str) -> str:
        """Return the name that *mirror* gives to a repository that this rule matches.

        The result is a text that still has to be parsed: it may be too long, or
        have no repository.
        """
        if self.pattern is not None:
            return self.pattern.rewrite(f"{registry}/{repository}", mirror.target)
        match = self.match
        assert match is not None  # noqa: S101 - a rule has a pattern or a match
        if match.is_everything:
            rest = f"{registry}/{repository}" if repository else registry
        else:
            rest = repository[len(match.path) :].removeprefix("/")
        if mirror.flatten:
            rest = (rest or repository).rpartition("/")[2]
        return f"{mirror.target}/{rest}" if rest else mirror.target

    def reference_at(self, mirror: Mirror, reference: ImageReference) -> ImageReference:
        """Return *reference* as *mirror* names it, with its tag and digest.

        Raises:
            InvalidReferenceError: The mirror's name for it is no image reference.
        """
        name = self.name_at(mirror, reference.registry, reference.repository)
        registry, slash, _ = name.partition("/")
        if not slash:
            raise InvalidReferenceError(name, "it names no repository")
        if not names_registry(registry):
            raise InvalidReferenceError(name, f"{quoted(registry)} is no registry host")
        return parse_reference(name + reference.suffix)
