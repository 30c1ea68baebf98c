"""The rules as a table of prefixes, each with the places that its images come from.

A node's runtime takes the longest prefix of an image and asks the places beside it; it
knows no chains of rules, and no rule that leaves its own mirrors alone. So the map of
mirrors is asked for each prefix at which its answer may change: each match, each mirror
(where the rule of that mirror does not apply), and what lies below them after a step.
Every name below a prefix takes the same way as one that no rule names; that is the one
that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.core import ImageReference, InvalidRuleError, MirrorMap, Original
from webhook.core.reference import DOCKER_HUB
from webhook.core.rules import EVERY_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from webhook.core import Candidate, Mirror, Rule

__all__ = ["Entry", "Place", "entries_of", "refuse_parted"]

# No rule names it. Two parts, as a part alone would become `library/…` on Docker Hub.
UNKNOWN_PART: Final = "mirrorhook-unknown"
UNKNOWN: Final = f"{UNKNOWN_PART}/{UNKNOWN_PART}"
UNKNOWN_HOST: Final = f"{UNKNOWN_PART}.invalid"
MAX_ENTRIES: Final = 20_000
LIBRARY: Final = "library"
FLATTENED: Final = (
    "{rule} flattens images to {above}, and another rule tells {above}/{rest} from the "
    "rest: name the last mirror in the rule itself, or use the webhook"
)
ON_HUB: Final = (
    "{rule} leads to docker.io, where an image of one part is in library/, and another "
    "rule leads on: name the last mirror in the rule itself, or use the webhook"
)


def entries_of(rules: Iterable[Rule], *, every: bool = False) -> tuple[Entry, ...]:
    """Return the table of *rules*, without regular expressions.

    An entry that says what the next shorter prefix says already is left out, so that
    what is left differs. They are in the order of their prefixes, ``*.`` and ``*`` last.

    Args:
        rules: The rules.
        every: Whether the rule for every registry has its place in the table, too, and
            every image has to be found.

    Raises:
        InvalidRuleError: The rules interlock to more prefixes than anybody could use, or
            they send some names below a prefix another way, and *every* is set.
    """
    plain = [rule for rule in rules if rule.regex is None]
    mirrors = MirrorMap(plain)
    edges = Edges(edges_of(plain, every=every))
    found: dict[str, Entry] = {}
    ahead = sorted(edges.prefixes)
    while ahead:
        prefix = ahead.pop()
        if prefix in found:
            continue
        if len(found) == MAX_ENTRIES:
            problem = f"the rules have more than {MAX_ENTRIES} prefixes together"
            raise InvalidRuleError(problem)
        registry, _, path = prefix.partition("/")
        found[prefix], passed = asked(mirrors, edges, registry, path, every=every)
        for rest in edges.below(passed):
            ahead.append(rest if registry == EVERY_REGISTRY else f"{prefix}/{rest}")
    return tuple(distinct(found))


def edges_of(rules: Iterable[Rule], *, every: bool) -> Iterator[str]:
    """Yield the prefixes at which the map's answer may change."""
    for rule in rules:
        if every or (rule.match is not None and not rule.match.is_catch_all):
            yield str(rule.match)
            # The registries of its mirrors as a whole are at rest under a rule for all.
            yield from (mirror.registry for mirror in rule.mirrors)
        for mirror in rule.mirrors:
            yield mirror.target


class Edges:
    """The prefixes at which the map's answer may change, to be found from those above them."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.prefixes = frozenset(prefixes)
        self._paths: dict[str, list[str]] = {}
        for prefix in self.prefixes:
            registry, _, path = prefix.partition("/")
            if path:
                self._paths.setdefault(registry, []).append(path)

    def below(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the path from each of the prefixes *names* to each edge below it."""
        for name in names:
            registry, _, within = name.partition("/")
            start = f"{within}/" if within else ""
            for host in (registry, *(f"*{domain}" for domain in domains(registry))):
                for path in self._paths.get(host, ()):
                    if path.startswith(start):
                        yield path.removeprefix(start)


def asked(
    mirrors: MirrorMap, edges: Edges, registry: str, path: str, *, every: bool
) -> tuple[Entry, frozenset[str]]:
    """Return the entry of a prefix, and every prefix that its images pass on their way."""
    is_everything = registry == EVERY_REGISTRY
    host = UNKNOWN_HOST if is_everything else registry.replace("*", UNKNOWN_PART)
    repository = f"{path}/{UNKNOWN}" if path else UNKNOWN
    rule = mirrors.find_applicable_rule(host, repository)
    passed = {f"{host}/{path}" if path else host}
    if not every and rule is not None and rule.match and rule.match.is_catch_all:
        return Entry(registry, path), frozenset(passed)  # said of no other registry either
    places: dict[Place, None] = {}
    for candidate in mirrors.candidates(ImageReference(host, repository)):
        places[place_of(candidate)] = None
        if every:
            refuse_parted(mirrors, edges.below, host, repository, candidate)
        passed.update(passing(host, repository, candidate.steps))
    return Entry(registry, path, rule, tuple(places)), frozenset(passed)


def place_of(candidate: Candidate) -> Place:
    """Return the place that a candidate for an unknown name is at."""
    flatten = any(mirror.flatten for _, mirror in candidate.steps)
    name = candidate.reference.name
    target = name.removesuffix(UNKNOWN_PART if flatten else UNKNOWN).rstrip("/")
    whole = target.endswith(f"/{UNKNOWN_HOST}")
    return Place(target.removesuffix(f"/{UNKNOWN_HOST}"), flatten, whole)


def passing(registry: str, repository: str, steps: Iterable[tuple[Rule, Mirror]]) -> Iterator[str]:
    """Yield the prefixes that an unknown name passes, up to a mirror that flattens it."""
    for rule, mirror in steps:
        name = rule.rewrite_name(mirror, registry, repository)
        registry, _, repository = name.partition("/")
        if mirror.flatten:
            return
        yield name.removesuffix(f"/{UNKNOWN}").removesuffix(f"/{UNKNOWN_HOST}")


def distinct(found: dict[str, Entry]) -> Iterator[Entry]:
    """Yield the entries that say something else than the next shorter prefix."""
    kept: dict[str, Entry] = {}
    order = sorted(found.values(), key=lambda entry: (entry.registry.startswith("*"), entry.prefix))
    for entry in sorted(
        order,
        key=lambda entry: (
            len(entry.path) if entry.registry != EVERY_REGISTRY else -1,
            not entry.is_wildcard,
            len(entry.registry),
        ),
    ):
        above = next((kept[name] for name in shorter(entry) if name in kept), None)
        implied: tuple[Place, ...] = ()
        original = Original.LAST
        if above is not None:
            implied = tuple(place.below(above, entry) for place in above.places)
            original = above.original
        if entry.places != implied or (implied and entry.original is not original):
            kept[entry.prefix] = entry
    return (entry for entry in order if entry.prefix in kept)


def shorter(entry: Entry) -> Iterator[str]:
    """Yield the prefixes that an entry lies under, the longest first."""
    path = entry.path
    wider = [f"*{domain}" for domain in domains(entry.registry)]
    yield from (f"{registry}/{path}" if path else registry for registry in wider)
    while path:
        path = path.rpartition("/")[0]
        for registry in (entry.registry, *wider):
            yield f"{registry}/{path}" if path else registry
    if entry.registry != EVERY_REGISTRY:
        yield EVERY_REGISTRY


def domains(registry: str) -> Iterator[str]:
    """Yield the domains above a registry, with their leading dots, the longest first."""
    dot = registry.find(".", registry.startswith("*") + 1)
    while dot != -1:
        yield registry[dot:]
        dot = registry.find(".", dot + 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the images of a prefix come from.

    Attributes:
        target: ``host[:port][/path]`` that takes the place of the prefix.
        flatten: Only the last part of the repository follows.
        whole: The prefix itself follows as well, as it does for every registry.
    """

    target: str
    flatten: bool = False
    whole: bool = False

    @property
    def registry(self) -> str:
        """The registry of the target."""
        return self.target.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of the target; it may be empty."""
        return self.target.partition("/")[2]

    def below(self, above: Entry, entry: Entry) -> Place:
        """Return the place of a longer prefix, if it is one of the entry *above*."""
        if self.whole:
            return Place(f"{self.target}/{entry.prefix}")
        rest = entry.path.removeprefix(above.path).removeprefix("/")
        if self.flatten or not rest:
            return self
        return Place(f"{self.target}/{rest}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix and what becomes of its images.

    Attributes:
        registry: A registry, ``*.`` and a domain, or ``*``.
        path: Leading parts of the repository; may be empty.
        rule: The rule that applies; None if none does.
        places: Where the images come from, the preferred first; none where they stay.
    """

    registry: str
    path: str
    rule: Rule | None = None
    places: tuple[Place, ...] = ()

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
        """Whether it stands for the subdomains of a domain."""
        return self.registry.startswith("*.")


def refuse_parted(
    mirrors: MirrorMap,
    below: Callable[[Iterable[str]], Iterable[str]],
    registry: str,
    repository: str,
    candidate: Candidate,
) -> None:
    """Refuse rules that send names below one prefix different ways.

    Args:
        mirrors: The rules.
        below: Gives the paths from prefixes to those of other rules and mirrors below.
        registry: Registry of a name that no rule names, below the prefix.
        repository: Its repository.
        candidate: Where it came to.

    Raises:
        InvalidRuleError: Other names would not come there.
    """
    flat = False
    reference = ImageReference(registry, repository)
    for rule, mirror in candidate.steps:
        reference = rule.rewrite_reference(mirror, reference)
        ahead = leading(mirrors, reference.registry, reference.repository)
        above = reference.name.rpartition("/")[0]
        flat = flat or mirror.flatten
        if flat:
            for rest in below([above]):
                registry, _, path = f"{above}/{rest}".partition("/")
                if "/" not in rest and leading(mirrors, registry, path) is not ahead:
                    problem = FLATTENED.format(rule=rule, above=above, rest=rest)
                    raise InvalidRuleError(problem)
        elif mirror.target == DOCKER_HUB:
            inside = (rest for rest in below([DOCKER_HUB]) if in_library(rest))
            if ahead or any(leading(mirrors, DOCKER_HUB, rest) for rest in inside):
                raise InvalidRuleError(ON_HUB.format(rule=rule))


def leading(mirrors: MirrorMap, registry: str, repository: str) -> Rule | None:
    """Return the rule that leads on from a name, if there is one."""
    rule = mirrors.find_applicable_rule(registry, repository)
    return rule if rule is not None and rule.mirrors else None


def in_library(path: str) -> bool:
    """Say whether a path on Docker Hub is that of its own images."""
    return f"{path}/".startswith(f"{LIBRARY}/")
