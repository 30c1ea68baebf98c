"""The rules as a table of prefixes, each with the targets that its images come from.

A node's runtime takes the longest prefix of an image and asks the targets of that prefix.
It knows neither chains of rules nor rules that spare their own mirrors. So this asks the
rules about each prefix at which their answer may change: each match, each mirror (its own
rule does not apply there), and what lies below them after a step. All names below a prefix
are treated like a name that no rule mentions, so that is the name to ask about.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from webhook.core import (
    Candidate,
    ImageReference,
    InvalidReferenceError,
    InvalidRuleError,
    MirrorMap,
    Original,
    parse_reference,
)
from webhook.core.reference import DOCKER_HUB, MAX_REPOSITORY
from webhook.core.rules import EVERY_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from webhook.core import Mirror, Rule
    from webhook.core.decision import Steps

__all__ = ["MirrorTarget", "PrefixEntry", "make_prefix_table"]

# No rule mentions it. It has two parts, as a single one becomes `library/…` on Docker Hub.
UNKNOWN_PART: Final = "mirrorhook-unknown"
UNKNOWN: Final = f"{UNKNOWN_PART}/{UNKNOWN_PART}"
UNKNOWN_HOST: Final = f"{UNKNOWN_PART}.invalid"
MAX_ENTRIES: Final = 20_000
LIBRARY: Final = "library"
FLATTENED: Final = (
    "{rule} flattens images to {above}, and another rule treats {above}/{rest} differently: "
    "write the last mirror in the rule itself, or use the webhook"
)
ON_HUB: Final = (
    "{rule} leads to docker.io, where images of one part are in library/, and another rule "
    "applies there: write the last mirror in the rule itself, or use the webhook"
)
LONGER: Final = (
    "{rule} leads through a longer path than that of the last mirror, and a mirror flattens names: "
    "write the last mirror in the rule itself, or use the webhook"
)
PREFIX_ITSELF: Final = (
    "{rule} leads to another rule, which treats {name} itself differently from the images below "
    "it: write the last mirror in the rule itself, or use the webhook"
)


@dataclass(frozen=True, slots=True)
class MirrorTarget:
    """Where the images of a prefix come from.

    Attributes:
        name: ``host[:port][/path]`` that replaces the prefix.
        flatten: Only the last part of the repository follows.
        keeps_prefix: The prefix itself follows too, as with a rule for every registry.
        limit: Most characters that may follow the prefix, with the slash; 0 for as many as a
            name can have.
    """

    name: str
    flatten: bool = False
    keeps_prefix: bool = False
    limit: int = 0

    @property
    def registry(self) -> str:
        """The registry of the target."""
        return self.name.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of the target; it may be empty."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class PrefixEntry:
    """A prefix of image names, and where its images come from.

    Attributes:
        registry: A registry, ``*.`` and a domain, or ``*``.
        path: Leading parts of the repository; may be empty.
        rule: The rule that applies, if any.
        targets: Where the images come from, in order of preference; empty if unchanged.
    """

    registry: str
    path: str
    rule: Rule | None = None
    targets: tuple[MirrorTarget, ...] = ()

    @property
    def prefix(self) -> str:
        """The registry, and the path if there is one."""
        return f"{self.registry}/{self.path}" if self.path else self.registry

    @property
    def original(self) -> Original:
        """When the registry itself is asked."""
        return self.rule.original if self.rule is not None else Original.LAST

    @property
    def is_wildcard(self) -> bool:
        """Whether the prefix covers the subdomains of a domain."""
        return self.registry.startswith("*.")


def make_prefix_table(rules: Iterable[Rule], *, complete: bool = False) -> tuple[PrefixEntry, ...]:
    """Return the table of *rules*, without regular expressions.

    Entries that the next shorter prefix implies are left out. The others are sorted by
    prefix, with ``*.`` and ``*`` last.

    Args:
        rules: The rules.
        complete: Whether the table has to cover every image: the rule for every registry
            is in the table too, and rules that no table can express are refused.

    Raises:
        InvalidRuleError: The rules make too many prefixes together; or *complete* is set,
            and they treat names below one prefix differently.
    """
    plain = [rule for rule in rules if rule.regex is None]
    mirrors = MirrorMap(plain)
    edges = _Edges(_iterate_edges(plain, complete=complete))
    entries: dict[str, PrefixEntry] = {}
    ahead = sorted(edges.prefixes)
    while ahead:
        prefix = ahead.pop()
        if prefix in entries:
            continue
        if len(entries) == MAX_ENTRIES:
            problem = f"the rules make more than {MAX_ENTRIES} prefixes"
            raise InvalidRuleError(problem)
        registry, _, path = prefix.partition("/")
        entries[prefix], passed = _make_entry(mirrors, edges, registry, path, complete=complete)
        for rest in edges.find_below(passed):
            ahead.append(rest if registry == EVERY_REGISTRY else f"{prefix}/{rest}")
    return tuple(_drop_implied(entries))


def _iterate_edges(rules: Iterable[Rule], *, complete: bool) -> Iterator[str]:
    """Yield the prefixes at which the rules' answer may change."""
    for rule in rules:
        if complete or (rule.match is not None and not rule.match.is_catch_all):
            yield str(rule.match)
            # A rule for every registry does not apply to the registries of its mirrors.
            yield from (mirror.registry for mirror in rule.mirrors)
        for mirror in rule.mirrors:
            yield mirror.target


class _Edges:
    """The prefixes at which the rules' answer may change, to be found from those above them."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.prefixes = frozenset(prefixes)
        self._paths: dict[str, list[str]] = {}
        for prefix in self.prefixes:
            registry, _, path = prefix.partition("/")
            if path:
                self._paths.setdefault(registry, []).append(path)

    def find_below(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the path from each of the prefixes *names* to each edge below it."""
        for name in names:
            registry, _, within = name.partition("/")
            start = f"{within}/" if within else ""
            for host in (registry, *_iterate_wildcards(registry)):
                for path in self._paths.get(host, ()):
                    if path.startswith(start):
                        yield path.removeprefix(start)


def _make_entry(
    mirrors: MirrorMap, edges: _Edges, registry: str, path: str, *, complete: bool
) -> tuple[PrefixEntry, frozenset[str]]:
    """Return the entry of a prefix, and every prefix that its images pass on their way."""
    is_catch_all = registry == EVERY_REGISTRY
    host = UNKNOWN_HOST if is_catch_all else registry.replace("*", UNKNOWN_PART)
    repository = f"{path}/{UNKNOWN}" if path else UNKNOWN
    rule = mirrors.find_applicable_rule(host, repository)
    passed = {f"{host}/{path}" if path else host}
    if not complete and rule is not None and rule.match and rule.match.is_catch_all:
        return PrefixEntry(registry, path), frozenset(passed)
    targets: dict[MirrorTarget, None] = {}
    reference = ImageReference(host, repository)
    candidates = tuple(
        each for each in mirrors.candidates(reference) if not _is_from_allowlist(each)
    )
    for candidate in candidates:
        if complete:
            _refuse_split(mirrors, edges, reference, candidate)
        passed.update(_iterate_passed(host, repository, candidate.steps))
    if complete:
        candidates = tuple(_iterate_with_fallbacks(reference, candidates))
    for candidate in candidates:
        target = _to_target(candidate)
        targets[
            replace(target, limit=_find_limit(reference, candidate)) if complete else target
        ] = None
    if complete and path:
        _check_prefix_itself(mirrors, ImageReference(host, path), targets)
    return PrefixEntry(registry, path, rule, tuple(targets)), frozenset(passed)


def _iterate_with_fallbacks(
    reference: ImageReference, candidates: Sequence[Candidate]
) -> Iterator[Candidate]:
    """Yield candidates, and after those of one step the step itself.

    A name that is too long at all mirrors of a chained rule stays where the chain was.
    """
    for number, candidate in enumerate(candidates, start=1):
        yield candidate
        after = candidates[number].steps if number < len(candidates) else ()
        for count in range(len(candidate.steps) - 1, 0, -1):
            steps = candidate.steps[:count]
            if after[:count] == steps:
                break
            stay = _follow(reference, steps)
            yield Candidate(stay, steps, str(stay))


def _is_from_allowlist(candidate: Candidate) -> bool:
    """Return whether a candidate depends on a list of images, which no table can hold."""
    return any(mirror.allowlist is not None for _, mirror in candidate.steps)


def _follow(reference: ImageReference, steps: Steps) -> ImageReference:
    for rule, mirror in steps:
        reference = rule.rewrite_reference(mirror, reference)
    return reference


def _find_limit(reference: ImageReference, candidate: Candidate) -> int:
    """Return `MirrorTarget.limit` of a candidate: 0 unless a name on its way is the longest.

    Raises:
        InvalidRuleError: It is after a mirror that flattens, so that only a part of it counts.
    """
    sizes = [
        len(_follow(reference, candidate.steps[:count]).repository)
        for count in range(1, len(candidate.steps))
    ]
    size = max(sizes, default=0)
    if size <= len(candidate.reference.repository):
        return 0
    if any(mirror.flatten for _, mirror in candidate.steps):
        raise InvalidRuleError(LONGER.format(rule=candidate.steps[0][0]))
    is_everywhere = reference.registry == UNKNOWN_HOST
    return MAX_REPOSITORY - size + len(f"{UNKNOWN_HOST if is_everywhere else ''}/{UNKNOWN}")


def _to_target(candidate: Candidate) -> MirrorTarget:
    """Return the target of a candidate for an unknown name."""
    flatten = any(mirror.flatten for _, mirror in candidate.steps)
    name = candidate.reference.name
    target = name.removesuffix(UNKNOWN_PART if flatten else UNKNOWN).rstrip("/")
    keeps_prefix = target.endswith(f"/{UNKNOWN_HOST}")
    return MirrorTarget(target.removesuffix(f"/{UNKNOWN_HOST}"), flatten, keeps_prefix)


def _iterate_passed(
    registry: str, repository: str, steps: Iterable[tuple[Rule, Mirror]]
) -> Iterator[str]:
    """Yield the prefixes that an unknown name passes, up to a mirror that flattens it."""
    for rule, mirror in steps:
        name = rule.rewrite_name(mirror, registry, repository)
        registry, _, repository = name.partition("/")
        if mirror.flatten:
            return
        yield name.removesuffix(f"/{UNKNOWN}").removesuffix(f"/{UNKNOWN_HOST}")


def _drop_implied(entries: dict[str, PrefixEntry]) -> Iterator[PrefixEntry]:
    """Yield the entries that differ from what the next shorter prefix implies."""
    kept: dict[str, PrefixEntry] = {}
    order = sorted(
        entries.values(), key=lambda entry: (entry.registry.startswith("*"), entry.prefix)
    )
    for entry in sorted(
        order,
        key=lambda entry: (
            len(entry.path) if entry.registry != EVERY_REGISTRY else -1,
            not entry.is_wildcard,
            len(entry.registry),
        ),
    ):
        above = next((kept[name] for name in _iterate_shorter(entry) if name in kept), None)
        implied: tuple[MirrorTarget, ...] = ()
        original = Original.LAST
        if above is not None:
            implied = tuple(_extend(target, above, entry) for target in above.targets)
            original = above.original
        if entry.targets != implied or (implied and entry.original is not original):
            kept[entry.prefix] = entry
    return (entry for entry in order if entry.prefix in kept)


def _extend(target: MirrorTarget, above: PrefixEntry, entry: PrefixEntry) -> MirrorTarget:
    """Return what a target of the entry *above* is for the longer prefix of *entry*."""
    if target.keeps_prefix:
        limit = target.limit and target.limit - len(entry.prefix)
        return MirrorTarget(f"{target.name}/{entry.prefix}", limit=limit)
    rest = entry.path.removeprefix(above.path).removeprefix("/")
    if target.flatten or not rest:
        return target
    return MirrorTarget(
        f"{target.name}/{rest}", limit=target.limit and target.limit - len(f"/{rest}")
    )


def _iterate_shorter(entry: PrefixEntry) -> Iterator[str]:
    """Yield the prefixes that an entry lies under, the longest first."""
    path = entry.path
    wildcards = list(_iterate_wildcards(entry.registry))
    yield from (f"{registry}/{path}" if path else registry for registry in wildcards)
    while path:
        path = path.rpartition("/")[0]
        for registry in (entry.registry, *wildcards):
            yield f"{registry}/{path}" if path else registry
    if entry.registry != EVERY_REGISTRY:
        yield EVERY_REGISTRY


def _iterate_wildcards(registry: str) -> Iterator[str]:
    """Yield the wildcards that cover a registry, the longest first."""
    dot = registry.find(".", registry.startswith("*") + 1)
    while dot != -1:
        yield f"*{registry[dot:]}"
        dot = registry.find(".", dot + 1)


def _refuse_split(
    mirrors: MirrorMap, edges: _Edges, reference: ImageReference, candidate: Candidate
) -> None:
    """Refuse rules that treat names below one prefix differently.

    Two things tell these names apart where another rule follows: a mirror that flattens
    makes names that other rules may mention one by one; and on Docker Hub, a name of a
    single part becomes one of two, `library/…`. So *reference*, which no rule mentions,
    may not stand for all names below its prefix.
    """
    flat = False
    for rule, mirror in candidate.steps:
        reference = rule.rewrite_reference(mirror, reference)
        next_rule = _find_next_rule(mirrors, reference.registry, reference.repository)
        above = reference.name.rpartition("/")[0]
        flat = flat or mirror.flatten
        if flat:
            for rest in edges.find_below([above]):
                registry, _, path = f"{above}/{rest}".partition("/")
                if "/" not in rest and _find_next_rule(mirrors, registry, path) is not next_rule:
                    problem = FLATTENED.format(rule=rule, above=above, rest=rest)
                    raise InvalidRuleError(problem)
        elif mirror.target == DOCKER_HUB:
            paths = edges.find_below([DOCKER_HUB])
            in_library = (path for path in paths if path.partition("/")[0] == LIBRARY)
            if next_rule or any(_find_next_rule(mirrors, DOCKER_HUB, path) for path in in_library):
                raise InvalidRuleError(ON_HUB.format(rule=rule))


def _check_prefix_itself(
    mirrors: MirrorMap, reference: ImageReference, targets: Iterable[MirrorTarget]
) -> None:
    """Refuse rules that treat the name of a prefix differently from those below it.

    The mirror's path is all that remains of it, so another rule may flatten that path, and a
    mirror without a path has no name for it.

    Args:
        mirrors: The rules.
        reference: The name of the prefix.
        targets: Where the names below it come from.
    """
    if reference.registry == DOCKER_HUB and "/" not in reference.repository:
        return  # an image of that name is in library/
    last = reference.repository.rpartition("/")[2]
    written = (f"{target.name}/{last}" if target.flatten else target.name for target in targets)
    by_table = next(filter(None, map(_find_valid_name, written)), reference.name)
    candidates = mirrors.candidates(reference)
    if candidates and _is_from_allowlist(candidates[0]):
        return
    if by_table != (candidates[0].reference.name if candidates else reference.name):
        rule = mirrors.find_applicable_rule(reference.registry, reference.repository)
        name = reference.name.replace(UNKNOWN_PART, "*")
        raise InvalidRuleError(PREFIX_ITSELF.format(rule=rule, name=name))


def _find_valid_name(name: str) -> str:
    """Return a name in its normal form; empty for a registry alone and for an invalid name."""
    try:
        return parse_reference(name).name if "/" in name else ""
    except InvalidReferenceError:
        return ""


def _find_next_rule(mirrors: MirrorMap, registry: str, repository: str) -> Rule | None:
    rule = mirrors.find_applicable_rule(registry, repository)
    return rule if rule is not None and rule.mirrors else None
