r"""Convert the regular expressions of other tools to rules.

The tools match ``registry/repository:tag``; rules match ``registry/repository``, the whole of it,
and keep tag and digest. Most regular expressions are prefixes: ``^docker\.io/(.*)`` is the
registry docker.io. A prefix becomes a rule with ``match``, as such rules can be combined.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import InvalidRuleError, parse_match
from webhook.core.reference import DOCKER_HUB, looks_like_registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.imports.lines import LineText
    from webhook.imports.rule_set import RuleSet

__all__ = [
    "EVERY_NAME",
    "TAGS",
    "Atom",
    "NamePattern",
    "Sequence",
    "UnsupportedPatternError",
    "append_path",
    "compile_go",
    "escape",
    "find_literals",
    "is_whole_registry",
    "join_atoms",
    "may_reach_tag",
    "parse_atoms",
    "parse_pattern",
    "parse_patterns",
    "qualify",
]

# Any registry, and the repository in the group.
EVERY_NAME: Final = "[^/]+/(.+)"

_ATOM: Final = re.compile(
    r"(?P<group>\()|(?P<other>\\[pPQ].*|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^)|])", re.DOTALL
)
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})\??")
_GROUP_START: Final = re.compile(r"\?(?::|P?<\w+>)")
# How many ways to read an expression are tried, and how many beginnings of names are kept.
_MAX_WAYS: Final = 4096
_MAX_LITERALS: Final = 64
# Names of sets of characters that Python does not know.
_SET_NAME: Final = re.compile(r"\[:(\^?\w+):\]")
_SETS: Final = {"alnum": "0-9A-Za-z", "alpha": "A-Za-z", "digit": "0-9", "lower": "a-z"}
# No registry and no repository is empty.
_ALL: Final = {"[^/]*": "[^/]+", ".*": ".+"}
TAGS: Final = ("1", "latest", "v1.2.3-rc.1_X", "0")
# Endings of a host name: "^docker.io" names a whole registry, "^eu.gcr" does not.
_TOP_LEVEL: Final = re.compile(
    "ai|app|aws|cloud|cn|com|corp|de|dev|eu|example|fr|home|in|internal|io|jp|kr|lan|local|localhost"
    "|net|org|ru|sh|tech|test|tw|uk|us"
)


class UnsupportedPatternError(ValueError):
    """A regular expression that no rule can express; the message says why."""


@dataclass(frozen=True, slots=True)
class Atom:
    """A part of a regular expression, with its quantifier.

    Attributes:
        text: The part; groups do not capture.
        quantifier: Empty for exactly once.
        alternatives: Those of a group.
    """

    text: str
    quantifier: str = ""
    alternatives: tuple[Sequence, ...] = ()

    @property
    def literal(self) -> str:
        """The character that it stands for; empty if there are several. A dot is a dot."""
        if self.quantifier or self.alternatives:
            return ""
        if self.text[0] == "\\" and not self.text[1:].isalnum():
            return self.text[1:]
        return self.text if len(self.text) == 1 and self.text not in "^$" else ""

    def may_match(self, character: str) -> bool:
        """Return whether some text that it matches has *character*."""
        if self.alternatives:
            return any(part.may_match(character) for each in self.alternatives for part in each)
        if self.text == "." and not self.quantifier:
            return False  # nearly always a dot that somebody forgot to escape
        return re.fullmatch(self.text, character) is not None

    @property
    def is_open(self) -> bool:
        """Whether it matches the rest of an image, with any tag."""
        if self.alternatives and not self.quantifier:
            return all(each and each[-1].is_open for each in self.alternatives)
        return all(re.fullmatch(str(self), f"a:{tag}") for tag in TAGS)

    def without(self, character: str) -> Atom:
        """Return the atom for text without *character*."""
        if self.text == ".":
            return Atom(f"[^{character}]", self.quantifier)
        if not self.may_match(character):
            return self
        if not self.text.startswith("[^"):
            raise UnsupportedPatternError("it is too complex")
        return Atom(f"[^{character}{self.text[2:]}", self.quantifier)

    def __str__(self) -> str:
        return self.text + self.quantifier


Sequence = tuple[Atom, ...]


class NamePattern(NamedTuple):
    r"""A regular expression for the whole of ``registry/repository``.

    Attributes:
        registry: For the registry.
        repository: For the repository.
        prefix: The same as ``match`` of a rule; empty if it is more than a prefix.
        literals: What names start with; a line feed ends a whole name.
        tags: Whether the tool also matches other names by their tags.
    """

    registry: str
    repository: str
    prefix: str = ""
    literals: tuple[str, ...] = ("",)
    tags: bool = False

    @property
    def matches_everything(self) -> bool:
        """Whether it matches every image."""
        return (self.registry, self.repository) == ("[^/]+", ".+")

    def covers(self, other: NamePattern) -> bool:
        """Return whether it surely matches everything that *other* matches."""
        starts = (other.prefix,) if other.prefix else other.literals
        return (
            self.matches_everything
            or self.regex == other.regex
            or (
                bool(self.prefix)
                and all(f"{start}/".startswith(f"{self.prefix}/") for start in starts)
            )
        )

    def is_disjoint(self, other: NamePattern) -> bool:
        """Return whether surely nothing matches both."""
        return not any(
            first.startswith(second) or second.startswith(first)
            for first in self.literals
            for second in other.literals
        )

    @property
    def regex(self) -> str:
        """The regular expression; the repository is its group."""
        return f"{self.registry}/({self.repository})"


def parse_pattern(pattern: str, *, whole: bool = False, registry: str = "") -> list[NamePattern]:
    """Return what an expression in Go's syntax matches: any of these.

    Args:
        pattern: The expression.
        whole: Whether it has to match the whole of an image, as if between ``^`` and ``$``.
        registry: Match only what follows this registry in an image, beginning with a slash.

    Raises:
        UnsupportedPatternError: No rule can match the same images.
    """
    alternatives = parse_atoms(pattern)
    host = tuple(Atom(re.escape(each)) for each in registry)
    found: dict[str, NamePattern] = {}
    for alternative in alternatives:
        anchored = alternative if whole else _anchor(alternative)
        for left, right in _split_registry((*host, *_strip_anchors(anchored))):
            for each in _split_tag(left, right):
                found.setdefault(each.regex, each)
    if not found:
        raise UnsupportedPatternError("it matches no image")
    return list(found.values())


def parse_patterns(
    texts: Iterable[LineText],
    problem: str,
    rule_set: RuleSet,
    *,
    whole: bool = False,
    registry: str = "",
) -> list[tuple[int, NamePattern]]:
    """Return the patterns that rules can express, with their lines.

    Args:
        texts: Expressions in Go's syntax.
        problem: What happens to one that no rule can express, for a warning.
        rule_set: Takes the warnings.
        whole: As for `parse_pattern`.
        registry: As for `parse_pattern`.
    """
    patterns = []
    for text in texts:
        try:
            parsed = parse_pattern(text, whole=whole, registry=registry)
        except UnsupportedPatternError as error:
            rule_set.warn(text.line, f"{problem}: {text}: {error}")
            continue
        if any(each.tags for each in parsed):
            rule_set.warn(text.line, f"{text} also matches tags there, here only names")
        patterns += [(text.line, each) for each in parsed]
    return patterns


def compile_go(pattern: str) -> re.Pattern[str]:
    """Compile an expression in Go's syntax.

    Raises:
        UnsupportedPatternError: It is not one.
    """
    pattern = _SET_NAME.sub(_write_out_set, pattern)
    try:
        return re.compile(re.sub(r"\?<(?=\w)", "?P<", pattern.replace("\\z", "\\Z")))
    except (re.error, RecursionError, OverflowError):
        raise UnsupportedPatternError("it is not a regular expression") from None


def _write_out_set(name: re.Match[str]) -> str:
    if name[1] not in _SETS:
        raise UnsupportedPatternError(f"it has {name[0]}")
    return _SETS[name[1]]


def parse_atoms(pattern: str, *, captures: bool = False) -> list[Sequence]:
    """Return the alternatives of an expression in Go's syntax, each as a sequence of atoms.

    Args:
        pattern: The expression.
        captures: Whether groups that capture shall still do so.

    Raises:
        UnsupportedPatternError: It is not an expression, or no rule can express it.
    """
    compile_go(pattern)
    pattern = _SET_NAME.sub(_write_out_set, pattern)
    alternatives, end = _parse(pattern, 0, captures)
    if end != len(pattern):
        raise UnsupportedPatternError("it is not a regular expression")
    return alternatives


def _parse(text: str, position: int, captures: bool) -> tuple[list[Sequence], int]:
    """Return the alternatives from *position* on, and where they end."""
    alternatives: list[Sequence] = []
    atoms: list[Atom] = []
    while position < len(text) and text[position] != ")":
        if text[position] == "|":
            alternatives.append(tuple(atoms))
            atoms = []
            position += 1
            continue
        match = _ATOM.match(text, position)
        if match is None:
            raise UnsupportedPatternError("it is not a regular expression")
        source = match[0]
        inner: tuple[Sequence, ...] = ()
        position = match.end()
        if match["group"]:
            start = _GROUP_START.match(text, position)
            if start is None and text.startswith("?", position):
                raise UnsupportedPatternError("it has flags")
            within, position = _parse(text, start.end() if start else position, captures)
            inner = tuple(within)
            position += 1
            opening = "(" if captures and (start is None or start[0] != "?:") else "(?:"
            source = opening + "|".join("".join(map(str, each)) for each in inner) + ")"
        elif source in ("*", "+", "?"):
            raise UnsupportedPatternError("it is not a regular expression")
        elif source[:2] in (r"\p", r"\P", r"\Q", r"\b", r"\B"):
            raise UnsupportedPatternError(f"it has {source[:2]}")
        quantifier = _QUANTIFIER.match(text, position)
        if quantifier:
            position = quantifier.end()
        atoms.append(Atom(source, quantifier[0] if quantifier else "", inner))
    alternatives.append(tuple(atoms))
    return alternatives, position


def _anchor(atoms: Sequence) -> Sequence:
    """Return the expression for a whole image that means the same as a search."""
    anything = Atom(".", "*")
    if not atoms or str(atoms[0]) not in ("^", r"\A"):
        atoms = (anything, *atoms)
    if str(atoms[-1]) not in ("$", r"\z"):
        atoms = (*atoms, anything)
    return atoms


def _strip_anchors(atoms: Sequence) -> Sequence:
    if atoms and str(atoms[0]) in ("^", r"\A"):
        atoms = atoms[1:]
    if atoms and str(atoms[-1]) in ("$", r"\z"):
        atoms = atoms[:-1]
    # ".*.*" and ".*.+" are the same as one of them.
    while len(atoms) > 1 and {str(atoms[0]), str(atoms[1])} <= {".*", ".+"}:
        atoms = (_max(atoms[0], atoms[1]), *atoms[2:])
    while len(atoms) > 1 and {str(atoms[-1]), str(atoms[-2])} <= {".*", ".+"}:
        atoms = (*atoms[:-2], _max(atoms[-1], atoms[-2]))
    if any(str(each) in ("^", "$", r"\A", r"\z") for each in atoms):
        raise UnsupportedPatternError("it has an anchor in the middle")
    return atoms


def _max(first: Atom, second: Atom) -> Atom:
    return Atom(".", "+" if "+" in first.quantifier + second.quantifier else "*")


def _split_registry(
    atoms: Sequence, before: Sequence = (), ways: int = _MAX_WAYS
) -> list[tuple[Sequence, Sequence]]:
    """Return the ways in which the first slash splits what *atoms* match."""
    if ways == 0:
        raise UnsupportedPatternError("it is too complex")
    for index, atom in enumerate(atoms):
        left, rest = (*before, *atoms[:index]), atoms[index + 1 :]
        if atom.literal == "/":
            return [(left, rest)]
        if not atom.may_match("/"):
            continue
        if atom.alternatives:
            parts = _expand(atom)
            ways //= len(parts)
            return [
                split for each in parts for split in _split_registry((*each, *rest), left, ways)
            ]
        if atom.quantifier.rstrip("?") not in ("*", "+"):
            raise UnsupportedPatternError("it is too complex")
        without = atom.without("/")
        split = ((*left, Atom(without.text, "*")), (Atom(atom.text, "*"), *rest))
        return [*_split_registry(rest, (*left, without), ways - 1), split]
    return []


def _expand(atom: Atom) -> tuple[Sequence, ...]:
    """Return the alternatives of a group."""
    if atom.quantifier not in ("", "?"):
        raise UnsupportedPatternError("it repeats a part with a slash or colon")
    return (*atom.alternatives, ()) if atom.quantifier else atom.alternatives


def _split_tag(registry: Sequence, atoms: Sequence) -> list[NamePattern]:
    """Return patterns without the tag for *registry*, a slash and *atoms*."""
    ends = _find_tags(atoms)
    for_any_tag = {join_atoms(each) for each, with_tag, _ in ends if with_tag}
    found = []
    for repository, with_tag, tags in ends:
        if not with_tag:
            if join_atoms(repository) not in for_any_tag:
                raise UnsupportedPatternError("it matches no image with a tag")
            continue
        found.append(_make_pattern(registry, repository, tags=tags))
    return found


def _find_tags(
    atoms: Sequence, before: Sequence = (), ways: int = _MAX_WAYS
) -> list[tuple[Sequence, bool, bool]]:
    """Return repositories, whether they may have any tag, and whether tags match, too."""
    if ways == 0:
        raise UnsupportedPatternError("it is too complex")
    tags = False
    for index, atom in enumerate(atoms):
        repository, rest = (*before, *atoms[:index]), atoms[index + 1 :]
        if atom.literal == "@":
            return [(repository, False, tags)]  # digests only
        if atom.literal == ":" or atom.text in ("[:@]", "[@:]"):
            if not all(re.fullmatch(join_atoms(rest), tag) for tag in TAGS):
                raise UnsupportedPatternError("it matches only some tags or digests")
            return [(repository, True, tags)]
        if not atom.may_match(":"):
            continue
        if atom.alternatives:
            parts = _expand(atom)
            ways //= len(parts)
            return [
                (each, with_tag, tags or more)
                for part in parts
                for each, with_tag, more in _find_tags((*part, *rest), repository, ways)
            ]
        if not rest:
            if not atom.is_open:
                raise UnsupportedPatternError("it matches only some tags or digests")
            # The tag is enough for a "+", unless it is all that there is.
            enough = bool(repository) and repository[-1].literal != "/"
            last = Atom(atom.text, "*") if enough and atom.quantifier == "+" else atom
            return [((*repository, last), True, tags)]
        tags = tags or may_reach_tag(rest)
    return [((*before, *atoms), False, tags)]


def may_reach_tag(rest: Sequence) -> bool:
    """Return whether *rest* may match in a tag, if an atom that may match a colon precedes it."""
    return not any(each.literal in ("/", ":") for each in rest if each.literal)


def _make_pattern(registry: Sequence, repository: Sequence, *, tags: bool) -> NamePattern:
    host, path = _get_literal(registry), _get_literal(repository)
    rest = [str(each) for each in repository[len(path) :]]
    whole_host = len(host) == len(registry)
    prefix = ""
    if whole_host and rest in ([".*"], [".+"]) and (not path or path.endswith("/")):
        prefix = f"{host}/{path}".rstrip("/")
    elif join_atoms(registry[len(host) :]) == "[^/]*" and join_atoms(repository) == ".*":
        prefix = host if is_whole_registry(host) else ""
    try:
        prefix = str(parse_match(prefix)) if prefix else ""
    except InvalidRuleError:
        prefix = ""
    starts = find_literals((*registry, Atom("/"), *repository))
    return NamePattern(
        _ALL.get(join_atoms(registry), join_atoms(registry)),
        _ALL.get(join_atoms(repository), join_atoms(repository)),
        prefix,
        starts,
        tags,
    )


def is_whole_registry(host: str) -> bool:
    """Return whether *host* is a whole registry, not the beginning of one."""
    name, _, port = host.partition(":")
    return looks_like_registry(host) and (
        port.isdigit() if port else _TOP_LEVEL.fullmatch(name.rpartition(".")[2]) is not None
    )


def _get_literal(atoms: Sequence) -> str:
    return "".join(takewhile(bool, (each.literal for each in atoms)))


def find_literals(atoms: Sequence, before: str = "") -> tuple[str, ...]:
    """Return what the texts that *atoms* match start with; a line feed ends a whole text."""
    found: list[str] = []
    pending = [(before, atoms)]
    while pending:
        text, rest = pending.pop()
        for index, atom in enumerate(rest):
            if atom.literal:
                text += atom.literal
                continue
            is_choice = bool(atom.alternatives) and atom.quantifier in ("", "?")
            if is_choice and len(found) + len(pending) < _MAX_LITERALS:
                after = rest[index + 1 :]
                pending += [(text, (*each, *after)) for each in reversed(_expand(atom))]
            else:
                found.append(text)
            break
        else:
            found.append(text + "\n")
    return tuple(found)


def join_atoms(atoms: Sequence) -> str:
    """Return the regular expression of atoms."""
    return "".join(map(str, atoms))


def append_path(target: str, prefix: str) -> str:
    """Return *target* with the path of *prefix* behind it, if there is one."""
    path = prefix.partition("/")[2]
    return f"{target}/{path}" if path else target


def qualify(target: str) -> str:
    """Return the beginning of an image with its registry, which is Docker Hub if it has none."""
    first = target.partition("/")[0]
    is_qualified = not first or "\\" in first or looks_like_registry(first)
    return target if is_qualified else f"{DOCKER_HUB}/{target}"


def escape(text: str) -> str:
    """Return the regular expression for *text*."""
    return re.escape(text).replace("\\-", "-")
