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
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from webhook.core.errors import InvalidReferenceError, InvalidRuleError, quote
from webhook.core.reference import (
    DOCKER_HUB,
    LEGACY_DOCKER_HUB,
    ImageReference,
    is_domain,
    is_path,
    looks_like_registry,
    parse_reference,
)
from webhook.core.regex import Regex, Template

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.core.allowlist import Allowlist

__all__ = ["EVERY_REGISTRY", "Match", "Mirror", "Original", "PrefixIndex", "Rule", "parse_match"]

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
    def is_catch_all(self) -> bool:
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
        return InvalidRuleError(f"match {quote(text)} {problem}", field="match")

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
        raise refuse(f"has {quote(path)} for a path, which no repository can have")
    if domain == LEGACY_DOCKER_HUB and registry == domain:
        registry = DOCKER_HUB
    return Match(registry, path)


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
            text = f"mirror {quote(self.target)} {problem}"
            return InvalidRuleError(text, field="target")

        if "://" in sample:
            raise refuse("has a scheme; write host[:port][/path] alone")
        if not is_domain(registry):
            raise refuse("does not start with a registry host")
        if not looks_like_registry(registry) and not self.is_template:
            raise refuse(
                f"would be read as a name on Docker Hub, as {registry!r} has neither "
                f"'.' nor ':'; write {registry}:443 or docker.io/{self.target}"
            )
        if slash and not is_path(path):
            if ":" in path or "@" in path:
                raise refuse("has a tag or digest, which a mirror cannot have")
            raise refuse(f"has {quote(path)} for a path, which no repository can have")
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

    def covers(self, name: str) -> bool:
        """Say whether *name* (registry, or registry and repository) lies under the target."""
        if self.is_template:
            return Template(self.target).could_have_made(name)
        return name == self.target or name.startswith(self.target + "/")


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
    regex: Regex | None
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
            "regex": None if regex is None else Regex(regex),
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
        if self.match is not None and self.match.is_catch_all:
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
            if self.regex is None and mirror.is_template:
                problem = f"mirror {quote(mirror.target)} has groups, but no regex"
                raise InvalidRuleError(problem, field=place)
            if self.regex is None:
                continue
            if mirror.flatten:
                problem = "flatten has no meaning with a regex: write the whole target"
                raise InvalidRuleError(problem, field=place)
            highest = Template(mirror.target).highest_group
            if highest > self.regex.groups:
                problem = (
                    f"mirror {quote(mirror.target)} uses group {highest}, "
                    f"and the regex has {self.regex.groups}"
                )
                raise InvalidRuleError(problem, field=place)

    @cached_property
    def name(self) -> str:
        """The rule's match or regular expression: its name in reasons and metrics."""
        return str(self.match) if self.match is not None else f"/{self.regex}/"

    def __str__(self) -> str:
        return f"{self.name} (profile {self.source})" if self.source else self.name

    def is_at_own_mirror(self, name: str) -> bool:
        """Say whether *name* lies under one of this rule's own mirrors.

        Nothing at the registries of a rule for every registry is sent through
        them again, wherever it lies there.
        """
        if f"{name}/".startswith(self._under):
            return True
        return self.regex is not None and any(
            mirror.covers(name) for mirror in self.mirrors if mirror.is_template
        )

    def rewrite_name(self, mirror: Mirror, registry: str, repository: str) -> str:
        """Return the name that *mirror* gives to a repository that this rule matches.

        The result is a text that still has to be parsed: it may be too long, or
        have no repository.
        """
        if self.regex is not None:
            return self.regex.rewrite(f"{registry}/{repository}", mirror.target)
        match = self.match
        assert match is not None  # noqa: S101 - a rule has a pattern or a match
        if match.is_catch_all:
            rest = f"{registry}/{repository}" if repository else registry
        else:
            rest = repository[len(match.path) :].removeprefix("/")
        if mirror.flatten:
            rest = (rest or repository).rpartition("/")[2]
        return f"{mirror.target}/{rest}" if rest else mirror.target

    def rewrite_reference(self, mirror: Mirror, reference: ImageReference) -> ImageReference:
        """Return *reference* as *mirror* names it, with its tag and digest.

        Raises:
            InvalidReferenceError: The mirror's name for it is no image reference.
        """
        name = self.rewrite_name(mirror, reference.registry, reference.repository)
        registry, slash, _ = name.partition("/")
        if not slash:
            raise InvalidReferenceError(name, "it names no repository")
        if not looks_like_registry(registry):
            raise InvalidReferenceError(name, f"{quote(registry)} is no registry host")
        return parse_reference(name + reference.suffix)


Value = TypeVar("Value")


class PrefixIndex(Generic[Value]):
    """Values by registry and leading path parts, found from the longest prefix down."""

    def __init__(self) -> None:
        self._registries: dict[str, dict[str, Value]] = {}
        self._depths: dict[str, int] = {}

    def add(self, registry: str, path: str, value: Value) -> Value:
        """Add *value*, and return the value that the prefix has: an earlier one stays.

        Args:
            registry: The registry.
            path: Leading parts of the repository, or empty for all of it.
            value: What is to be found.
        """
        depth = path.count("/") + 1 if path else 0
        self._depths[registry] = max(depth, self._depths.get(registry, 0))
        return self._registries.setdefault(registry, {}).setdefault(path, value)

    def __bool__(self) -> bool:
        return bool(self._registries)

    def longest_first(self, registry: str, repository: str) -> list[tuple[str, Value]]:
        """Return the path and value of each prefix that *repository* lies under."""
        paths = self._registries.get(registry)
        if paths is None:
            return []
        found = []
        depth = self._depths[registry]
        if depth:
            parts = repository.split("/", depth)
            for count in range(min(depth, len(parts)), 0, -1):
                path = "/".join(parts[:count])
                if path in paths:
                    found.append((path, paths[path]))
        if "" in paths:
            found.append(("", paths[""]))
        return found
