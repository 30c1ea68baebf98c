r"""Rules: what they match, and their mirrors.

A match is a registry, or a registry and whole path parts (``registry.k8s.io``,
``docker.io/bitnami``), any subdomain (``*.gcr.io``, as in `containers-registries.conf`_), or
every registry (``*``). A regular expression has to match the whole of ``registry/repository``;
``\1`` to ``\9`` in its mirrors are its groups, ``\0`` is the whole name.

.. _containers-registries.conf: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from webhook.core.errors import InvalidReferenceError, InvalidRuleError, quote
from webhook.core.reference import (
    DOCKER_HUB,
    LEGACY_DOCKER_HUB,
    OFFICIAL,
    ImageReference,
    is_domain,
    is_path,
    looks_like_registry,
    parse_reference,
)
from webhook.core.regex import Regex, could_produce, fill_groups, highest_group

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.core.allowlist import Allowlist

__all__ = [
    "API_PATH",
    "EVERY_REGISTRY",
    "Match",
    "Mirror",
    "Original",
    "Rule",
    "parse_match",
    "suggest_match",
]

EVERY_REGISTRY: Final = "*"
_SUBDOMAINS: Final = "*."
API_PATH: Final = "v2"  # the base path of the registry API, in URLs (OCI distribution)
_WILDCARDS: Final = frozenset({"*", "**"})
_REGEX_CHARACTERS: Final = frozenset("^$()[]|+?\\")
_TAG_OR_DIGEST: Final = re.compile(r"[:@].*")
# How other programs write the groups of a regular expression.
_OTHER_GROUP: Final = re.compile(r"\$(?:\{([0-9])\}|([0-9]))")


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule matches: a registry, and whole path parts below it.

    Attributes:
        registry: A registry, ``*.`` and a domain, or ``*``.
        path: Leading parts of the repository, ``bitnami`` or ``a/b``; may be empty.
    """

    registry: str
    path: str = ""

    @property
    def is_wildcard(self) -> bool:
        """Whether it matches the subdomains of a domain."""
        return self.registry.startswith(_SUBDOMAINS)

    @property
    def is_catch_all(self) -> bool:
        """Whether it matches every registry that no other rule matches."""
        return self.registry == EVERY_REGISTRY

    @property
    def is_exact(self) -> bool:
        """Whether it matches names of a single registry."""
        return not (self.is_catch_all or self.is_wildcard)

    def covers(self, registry: str, repository: str) -> bool:
        """Return whether a name, or all names under a prefix, match."""
        if self.is_wildcard:
            is_same = registry.endswith(self.registry[1:])
        else:
            is_same = self.is_catch_all or registry == self.registry
        return is_same and f"{repository}/".startswith(f"{self.path}/" if self.path else "")

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}" if self.path else self.registry


def parse_match(text: str) -> Match:
    """Parse the ``match`` of a rule.

    Raises:
        InvalidRuleError: It is not a registry, with or without a path; the message says what
            to write instead.
    """
    if text == EVERY_REGISTRY:
        return Match(EVERY_REGISTRY)
    problem = _find_match_problem(text)
    if problem:
        suggestion = suggest_match(text)
        advice = f": write {suggestion}" if suggestion else ""
        raise InvalidRuleError(f"match {quote(text)} {problem}{advice}", field="match")
    registry, _, path = text.partition("/")
    if registry == LEGACY_DOCKER_HUB:
        registry = DOCKER_HUB
    return Match(registry, path)


def _find_match_problem(text: str) -> str:
    registry, slash, path = text.partition("/")
    domain = registry.removeprefix(_SUBDOMAINS)
    if is_domain(domain) and (not slash or is_path(path)):
        return ""
    if _REGEX_CHARACTERS.intersection(text):
        return "is not a name: for a regular expression use regex"
    if "://" in text:
        return "has a scheme"
    if "*" in domain or "*" in path:
        return 'has a "*" that is neither alone nor a leading "*."'
    if not is_domain(domain):
        return "does not start with a registry host such as docker.io"
    return _find_path_problem(path, "match")


def _find_path_problem(path: str, owner: str) -> str:
    """Return why *path* is not a valid repository."""
    if ":" in path or "@" in path:
        return f"has a tag or digest, which a {owner} cannot have"
    if not path or path.endswith("/"):
        return "ends with a slash"
    return f"has the path {quote(path)}, which is not a valid repository"


def suggest_match(text: str) -> str:
    """Return the ``match`` that *text* probably stands for; empty if that is unclear."""
    if _REGEX_CHARACTERS.intersection(text):
        return ""
    if text in _WILDCARDS:
        return EVERY_REGISTRY
    name, has_tag = _clean(text)
    domain = name.removeprefix("*").removeprefix(".")
    if "*" in domain:
        registry, slash, path = name.replace(".", r"\.").partition("/")
        path = re.sub(r"\*+", "(.*)", path) if slash else "(.+)"
        expression = f"{re.sub(r'[*]+', '[^/]*', registry)}/{path}"
        return f"regex: '{expression}' instead, and \\1 in its mirrors"
    if domain != name:
        name = _SUBDOMAINS + domain
    elif name and not looks_like_registry(name.partition("/")[0]):
        name = f"{DOCKER_HUB}/{name}"
    registry, slash, path = name.partition("/")
    if registry == DOCKER_HUB and slash and "/" not in path and (has_tag or "/" not in text):
        path = OFFICIAL + path
    is_valid = is_domain(registry.removeprefix(_SUBDOMAINS)) and (not slash or is_path(path))
    return f"{registry}{slash}{path}" if is_valid else ""


def _clean(text: str) -> tuple[str, bool]:
    """Return a name without its scheme, API path and tag, and whether it had a tag or digest."""
    parts = [part for part in text.strip().rpartition("://")[2].split("/") if part]
    if API_PATH in parts[:2]:
        parts.remove(API_PATH)
    while len(parts) > 1 and parts[-1] in _WILDCARDS:
        parts.pop()
    has_tag = False
    if parts and (len(parts) > 1 or not is_domain(parts[0])):
        last = _TAG_OR_DIGEST.sub("", parts[-1])
        has_tag = last != parts[-1]
        parts[-1] = last
    return "/".join(parts).lower(), has_tag


@dataclass(frozen=True, slots=True)
class Mirror:
    r"""A target that takes the place of what a rule matched.

    Args:
        target: ``host[:port][/path]``; in a rule with a regular expression the whole new
            name, with ``\1`` for its groups.
        flatten: Keep only the last part of the repository.
        pull_secrets: Names of the Secrets that a Pod needs to pull from it.
        allowlist: The images that it has; None for any.

    Raises:
        InvalidRuleError: An image name cannot start with the target.
    """

    target: str
    flatten: bool = False
    pull_secrets: tuple[str, ...] = ()
    allowlist: Allowlist | None = None

    def __post_init__(self) -> None:
        problem = _find_target_problem(self.target)
        if problem:
            cleaned, _ = _clean(self.target)
            is_better = cleaned != self.target and not _find_target_problem(cleaned)
            advice = f": write {cleaned}" if is_better else ""
            text = f"mirror {quote(self.target)} {problem}{advice}"
            raise InvalidRuleError(text, field="target")
        if self.registry == LEGACY_DOCKER_HUB:
            target = DOCKER_HUB + self.target.removeprefix(LEGACY_DOCKER_HUB)
            object.__setattr__(self, "target", target)

    @property
    def is_template(self) -> bool:
        """Whether the target uses groups of a regular expression."""
        return "\\" in self.target

    @property
    def registry(self) -> str:
        """The registry of the target."""
        return self.target.partition("/")[0]

    @property
    def fixed_part(self) -> str:
        """The whole path parts that every name at the mirror begins with; empty if it has none."""
        if not self.is_template:
            return self.target
        return self.target.partition("\\")[0].rpartition("/")[0]

    def covers(self, name: str) -> bool:
        """Return whether *name*, a registry with or without a repository, is under the target."""
        if self.is_template:
            return could_produce(self.target, name)
        return name == self.target or name.startswith(self.target + "/")


def _find_target_problem(target: str) -> str:
    template = _OTHER_GROUP.sub(r"\\\1\2", target)
    if template != target:
        return (
            f"uses $ for a group: write {template} in a rule with regex; with match, the rest of "
            "the name follows by itself"
        )
    sample = fill_groups(target, "x")
    registry, slash, path = sample.partition("/")
    if "://" in sample:
        return "has a scheme"
    if "*" in sample:
        return 'has a "*", but the rest of the name follows by itself'
    if not is_domain(registry):
        return "does not start with a registry host"
    if not looks_like_registry(registry) and sample == target:
        if registry == API_PATH:
            return "starts with the path of the registry API, not with a host"
        return (
            f"would be read as a name on Docker Hub, as {registry!r} has neither "
            f"'.' nor ':'; write {registry}:443 or docker.io/{target}"
        )
    return _find_path_problem(path, "mirror") if slash and not is_path(path) else ""


class Original(StrEnum):
    """When to try the image's own registry, if availability is checked."""

    LAST = "last"
    FIRST = "first"
    NEVER = "never"


@dataclass(frozen=True, init=False)
class Rule:
    """What to do with the images that match.

    Args:
        match: A match for `parse_match`; None if *regex* is given.
        mirrors: Mirrors, or their targets, in order of preference.
        regex: Regular expression in RE2 syntax for the whole name.
        keep: Leave these images unchanged.
        original: When to try the image's own registry, if availability is checked.
        source: The profile that the rule comes from; empty for the user's own rules.
        verify: If availability is checked, use a mirror only if its image has the digest of
            the original, or of the same image at *trusted*.
        trusted: Where to get the digest from; None for the image's own registry.
        enforced: Teams cannot change what happens to these images; see `LayeredMap`.
        owner: The object of the cluster that the rule comes from, such as ``MirrorRules
            team-a/rules``; empty for rules of the file.

    Raises:
        InvalidRuleError: The arguments do not make a rule together.
    """

    match: Match | None
    regex: Regex | None
    mirrors: tuple[Mirror, ...]
    keep: bool
    original: Original
    source: str
    verify: bool
    trusted: Mirror | None
    enforced: bool
    owner: str

    def __init__(
        self,
        match: str | None = None,
        mirrors: Iterable[Mirror | str] = (),
        *,
        regex: Regex | str | None = None,
        keep: bool = False,
        original: Original = Original.LAST,
        source: str = "",
        verify: bool = False,
        trusted: Mirror | None = None,
        enforced: bool = False,
        owner: str = "",
    ) -> None:
        if (match is None) == (regex is None):
            raise InvalidRuleError("a rule needs either match or regex")
        values = {
            "match": None if match is None else parse_match(match),
            "regex": Regex(regex) if isinstance(regex, str) else regex,
            "mirrors": tuple(m if isinstance(m, Mirror) else Mirror(m) for m in mirrors),
            "keep": keep,
            "original": original,
            "source": source,
            "verify": verify,
            "trusted": trusted,
            "enforced": enforced,
            "owner": owner,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        self._check_combination()
        self._check_targets()

    def _check_combination(self) -> None:
        if self.keep and self.mirrors:
            raise InvalidRuleError("a rule cannot have both mirrors and keep: true", field="keep")
        if not self.keep and not self.mirrors:
            problem = "mirrors is empty; add one, or write keep: true"
            raise InvalidRuleError(problem, field="mirrors")
        if self.trusted is not None and not self.verify:
            problem = "trusted requires verify: digest"
            raise InvalidRuleError(problem, field="trusted")
        if self.keep and self.verify:
            raise InvalidRuleError("a rule with keep: true cannot have verify", field="verify")

    def _check_targets(self) -> None:
        targets = [(f"mirrors[{n}]", mirror) for n, mirror in enumerate(self.mirrors)]
        if self.trusted is not None:
            targets.append(("trusted", self.trusted))
        for field, mirror in targets:
            if self.regex is None:
                if mirror.is_template:
                    problem = (
                        f"mirror {quote(mirror.target)} uses groups, but the rule has no regex; "
                        "with match, the rest of the name follows by itself"
                    )
                    raise InvalidRuleError(problem, field=field)
                continue
            if mirror.flatten:
                problem = "flatten cannot be used with a regex: write the whole target"
                raise InvalidRuleError(problem, field=field)
            highest = highest_group(mirror.target)
            if highest > self.regex.group_count:
                problem = (
                    f"mirror {quote(mirror.target)} uses group {highest}, "
                    f"and the regex has {self.regex.group_count}"
                )
                raise InvalidRuleError(problem, field=field)

    @property
    def is_of_team(self) -> bool:
        """Whether it comes from an object of a namespace."""
        return "/" in self.owner

    @cached_property
    def name(self) -> str:
        """The match or the regular expression, as in reasons and metrics."""
        return str(self.match) if self.match is not None else f"/{self.regex}/"

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        profile = f"profile {self.source}" if self.source else ""
        origin = " of ".join(filter(None, (profile, self.owner)))
        return f"{self.name} ({origin})" if origin else self.name

    @cached_property
    def _own_prefixes(self) -> tuple[str, ...]:
        if self.match is not None and self.match.is_catch_all:
            return tuple(f"{mirror.registry}/" for mirror in self.mirrors)
        return tuple(f"{mirror.target}/" for mirror in self.mirrors if not mirror.is_template)

    def is_at_own_mirror(self, name: str) -> bool:
        """Return whether *name* is under one of the rule's own mirrors.

        For a rule that matches every registry, all names at the registries of its mirrors are.
        """
        if f"{name}/".startswith(self._own_prefixes):
            return True
        return self.regex is not None and any(
            mirror.covers(name) for mirror in self.mirrors if mirror.is_template
        )

    def rewrite_name(self, mirror: Mirror, registry: str, repository: str) -> str:
        """Return the name at *mirror* of a repository that the rule matches.

        The caller has to parse it: it may be too long, or have no repository.
        """
        if self.regex is not None:
            return self.regex.expand(f"{registry}/{repository}", mirror.target)
        match = self.match
        assert match is not None  # noqa: S101 - a rule has a regex or a match
        if match.is_catch_all:
            rest = f"{registry}/{repository}" if repository else registry
        else:
            rest = repository[len(match.path) :].removeprefix("/")
        if mirror.flatten:
            rest = (rest or repository).rpartition("/")[2]
        return f"{mirror.target}/{rest}" if rest else mirror.target

    def rewrite_reference(self, mirror: Mirror, reference: ImageReference) -> ImageReference:
        """Return *reference* at *mirror*, with its tag and digest.

        Raises:
            InvalidReferenceError: The name at the mirror is not valid.
        """
        name = self.rewrite_name(mirror, reference.registry, reference.repository)
        registry, slash, _ = name.partition("/")
        if not slash:
            raise InvalidReferenceError(name, "it has no repository")
        if not looks_like_registry(registry):
            raise InvalidReferenceError(name, f"{quote(registry)} is not a registry host")
        return parse_reference(name + reference.suffix)
