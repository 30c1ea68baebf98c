"""The result of an import: rules, and warnings about what has no equivalent in rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.core import InvalidRuleError, Mirror, MirrorMap, Original, Rule, parse_match
from webhook.core.reference import is_domain
from webhook.core.rules import EVERY_REGISTRY
from webhook.imports.patterns import EVERY_NAME, append_path, escape, qualify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.imports.patterns import NamePattern
    from webhook.imports.replacements import Replacement

__all__ = ["FileWarning", "ForeignFileError", "RuleSet", "UnreadableFileError"]

_NO_NAME: Final = "zz/zz"  # a repository that no file has a rule for


class UnreadableFileError(ValueError):
    """A file that is not of the expected format; the message says what is wrong."""


class ForeignFileError(UnreadableFileError):
    """The file is one of another format.

    Args:
        missing: What every file of the format has.
    """

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"the file has no {missing}: give a file of this format, or the FORMAT of this file "
            "(`mirrorhook import --help` lists them)"
        )


@dataclass(frozen=True, slots=True)
class FileWarning:
    """Something in a file that the rules do not do, or do differently.

    Attributes:
        origin: The file.
        line: The line, from 1; 0 for the file as a whole.
        message: What it is, and what happens to it.
    """

    origin: str
    line: int
    message: str

    def __str__(self) -> str:
        location = f"{self.origin}:{self.line}" if self.line else self.origin
        return f"{location}: {self.message}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A rule that is not built yet: by match, by regular expression, or either.

    Attributes:
        is_final: Whether images at its mirrors are not for other rules.
    """

    origin: str
    line: int
    match: str = ""
    mirrors: tuple[Mirror | str, ...] = ()
    regex: str = ""
    templates: tuple[str, ...] = ()
    original: Original = Original.LAST
    literals: tuple[str, ...] = ("",)
    is_final: bool = True

    def has_result_of(self, other: _Entry) -> bool:
        """Return whether it does the same with the images of both."""
        return (self.templates, self.original) == (other.templates, other.original)

    @property
    def is_wide(self) -> bool:
        """Whether it is a regular expression that changes images on any registry."""
        return bool(self.templates) and "" in self.literals

    def covers(self, other: _Entry, starts: tuple[str, ...]) -> bool:
        """Return whether it surely applies to all images of *other*, which start so."""
        if self.regex and self.regex == other.regex:
            return True
        return bool(self.match) and all(
            f"{start}/".startswith(f"{self.match}/") for start in starts
        )

    def is_apart_from(self, starts: tuple[str, ...]) -> bool:
        """Return whether its match is for no name with one of *starts*."""
        return not any(
            f"{start}/".startswith(f"{self.match}/") or self.match.startswith(start.rstrip("/"))
            for start in starts
        )

    def make_rule(self, *, as_regex: bool) -> Rule:
        """Return the rule, which keeps images if it has no mirrors."""
        if self.match and not as_regex:
            return Rule(self.match, self.mirrors, keep=not self.mirrors, original=self.original)
        regex, templates = self.regex, self.templates
        if not regex:
            regex = _make_regex(self.match, self.mirrors)
            templates = tuple(_make_template(each, self.match) for each in self.mirrors)
        return Rule(regex=regex, mirrors=templates, keep=not templates, original=self.original)


class RuleSet:
    """Collects rules, and makes rules that can be applied together; others become warnings.

    A file whose rules have an order, or that has a default without the registry in the name,
    needs regular expressions, as those are tried in their order.

    Args:
        origin: The file, for warnings. It may be changed before each file is read.
        namespace: The namespace whose Pods the rules are for; empty for all Pods.

    Attributes:
        checks_availability: Whether the tool asks registries for an image before it changes it.
    """

    def __init__(self, origin: str, namespace: str = "") -> None:
        self.origin = origin
        self._namespace = namespace
        self.checks_availability = False
        self._ordered: list[_Entry] = []
        self._unordered: list[_Entry] = []
        self._exceptions: list[_Entry] = []
        self._default: _Entry | None = None
        self._rules: tuple[Rule, ...] | None = None
        self._warnings: list[FileWarning] = []

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in the order of the file."""
        if self._rules is None:
            self._rules = self._make_rules()
        return self._rules

    @property
    def warnings(self) -> tuple[FileWarning, ...]:
        """The warnings in the order of the file."""
        assert self.rules is not None  # noqa: S101 - making rules gives warnings
        return tuple(sorted(self._warnings, key=lambda warning: (warning.origin, warning.line)))

    def is_only_for(self, namespace: object) -> bool:
        """Return whether the rules are for the Pods of one namespace, as an object in it is.

        Args:
            namespace: The namespace of the object; anything empty if that is not given.
        """
        return bool(self._namespace) and (namespace or self._namespace) == self._namespace

    def warn(self, line: int, message: str) -> None:
        """Add a warning."""
        self._warn(self.origin, line, message)

    def _warn(self, origin: str, line: int, message: str) -> None:
        warning = FileWarning(origin, line, message)
        if warning not in self._warnings:
            self._warnings.append(warning)

    def add_mirrors(
        self,
        line: int,
        match: str,
        mirrors: Iterable[Mirror | str],
        original: Original = Original.LAST,
        *,
        is_final: bool = True,
    ) -> None:
        """Add a rule for a registry, with or without a path. The longest match wins."""
        targets = tuple(mirrors)
        entry = _Entry(self.origin, line, match, targets, original=original, is_final=is_final)
        self._unordered.append(entry)

    def add_keep(self, line: int, match: str) -> None:
        """Add a rule that keeps images unchanged. The longest match wins."""
        self._unordered.append(_Entry(self.origin, line, match))

    def add_pattern(
        self,
        line: int,
        pattern: NamePattern,
        mirrors: Iterable[str] = (),
        original: Original = Original.LAST,
    ) -> None:
        """Add a rule after the previous ones, whose mirrors take the place of the registry.

        Without mirrors it keeps the images.
        """
        mirrors = tuple(map(qualify, mirrors))
        if pattern.matches_everything:
            self.add_default(line, [f"{mirror}/\\1" for mirror in mirrors], original)
            return
        below = tuple(append_path(mirror, pattern.prefix) for mirror in mirrors)
        templates = tuple(f"{mirror}/\\1" for mirror in mirrors)
        entry = _Entry(
            self.origin,
            line,
            pattern.prefix,
            below,
            pattern.regex,
            templates,
            original,
            pattern.literals,
        )
        self._add_ordered(entry)

    def add_regex(
        self,
        line: int,
        regex: str,
        templates: Iterable[str],
        original: Original = Original.LAST,
        literals: tuple[str, ...] = ("",),
        *,
        is_final: bool = True,
    ) -> None:
        """Add a rule with a regular expression after the previous ones.

        Without templates it keeps the images.

        Args:
            line: The line.
            regex: For ``registry/repository``.
            templates: The whole names at the mirrors.
            original: When to try the image's own registry.
            literals: What names that match start with; a line feed ends a whole name.
            is_final: Whether images at its mirrors are not for other rules.
        """
        templates = tuple(templates)
        entry = _Entry(
            self.origin,
            line,
            regex=regex,
            templates=templates,
            original=original,
            literals=literals,
            is_final=is_final,
        )
        self._add_ordered(entry)

    def add_replacement(
        self, line: int, replacement: Replacement, original: Original = Original.LAST
    ) -> None:
        """Add a replacement after the previous rules."""
        entry = _Entry(
            self.origin,
            line,
            replacement.prefix,
            (qualify(replacement.target),),
            replacement.regex,
            (qualify(replacement.template),),
            original,
            replacement.literals,
        )
        if entry.match == EVERY_REGISTRY:
            self._set_default(entry)
        else:
            self._add_ordered(entry)

    def _add_ordered(self, entry: _Entry) -> None:
        if self._default is None:
            self._ordered.append(entry)
        else:
            self._warn_of(entry, self._describe_precedence(self._default))

    def _describe_precedence(self, entry: _Entry) -> str:
        return f"left out: the rule of line {entry.line} applies to its images first"

    def add_default(
        self,
        line: int,
        templates: Iterable[str],
        original: Original = Original.LAST,
        regex: str = EVERY_NAME,
    ) -> None:
        """Add the rule for images that no other rule matches, and that are not at a mirror.

        Ordered rules cannot follow it.
        """
        self._set_default(
            _Entry(self.origin, line, regex=regex, templates=tuple(templates), original=original)
        )

    def _set_default(self, entry: _Entry) -> None:
        if self._default is None:
            self._default = entry
        elif not (self._default.regex == entry.regex and self._default.has_result_of(entry)):
            self._warn_of(entry, self._describe_precedence(self._default))

    def add_exception(
        self,
        line: int,
        regex: str,
        templates: Iterable[str] = (),
        original: Original = Original.LAST,
    ) -> None:
        """Add a rule that precedes the default only; without templates it keeps images."""
        entry = _Entry(
            self.origin, line, regex=regex, templates=tuple(templates), original=original
        )
        self._exceptions.append(entry)

    def _make_rules(self) -> tuple[Rule, ...]:
        ordered, as_regex = self._drop_unreachable(self._ordered)
        entries = [*ordered, *self._unordered]
        default = self._default
        if default is not None and (as_regex or not self._is_last_anyway(entries)):
            as_regex = True
            by_length = sorted(self._unordered, key=lambda entry: -len(entry.match))
            entries = [*ordered, *by_length, *self._exceptions, default]
        elif default is not None:
            entries.append(default)
        entries = self._keep_targets(entries, as_regex=as_regex)
        rules: dict[str, tuple[Rule, _Entry]] = {}
        for entry in entries:
            try:
                rule = entry.make_rule(as_regex=as_regex)
            except InvalidRuleError as error:
                name = entry.match or entry.regex
                self._warn_of(entry, f"left out: {name} cannot be a rule: {error}")
                continue
            if rule.name in rules:
                first, first_entry = rules[rule.name]
                if (first.mirrors, first.original) != (rule.mirrors, rule.original):
                    problem = (
                        f"left out: line {first_entry.line} already has a rule for {rule.name}"
                    )
                    self._warn_of(entry, problem)
                continue
            rules[rule.name] = (rule, entry)
        found = self._drop_cycles(list(rules.values()))
        self._warn_of_chains(found)
        if not found and not self._warnings:
            self.warn(0, "nothing imported: the file gives no rule; check the names of its keys")
        return tuple(rule for rule, _ in found)

    def _is_last_anyway(self, entries: list[_Entry]) -> bool:
        """Return whether the default may be a match, which applies to no mirror of *entries*."""
        default = self._default
        assert default is not None  # noqa: S101 - the caller has one
        if not default.match:
            return False
        own = {_get_target(mirror).partition("/")[0] for mirror in default.mirrors}
        targets = [_get_target(mirror) for each in entries for mirror in each.mirrors]
        return not self._exceptions and all(each.partition("/")[0] in own for each in targets)

    def _warn_of(self, entry: _Entry, message: str) -> None:
        self._warn(entry.origin, entry.line, message)

    def _drop_unreachable(self, ordered: list[_Entry]) -> tuple[list[_Entry], bool]:
        """Return the rules that can apply, and whether they need regexes for their order."""
        kept: list[_Entry] = []
        as_regex = False
        for entry in ordered:
            starts = (entry.match,) if entry.match else entry.literals
            prefixes = [each for each in kept if each.match]
            above = next((each for each in kept if each.covers(entry, starts)), None)
            if above is not None:
                if not above.has_result_of(entry):
                    self._warn_of(entry, self._describe_precedence(above))
                continue
            if not entry.match and not all(
                each.has_result_of(entry) or each.is_apart_from(starts) for each in prefixes
            ):
                as_regex = True
            kept.append(entry)
        return kept, as_regex

    def _keep_targets(self, entries: list[_Entry], *, as_regex: bool) -> list[_Entry]:
        """Keep what is at a mirror from regular expressions for any registry.

        They would apply to the images that other rules send there.
        """
        wide = [each for each in entries if each.is_wide and (as_regex or not each.match)]
        if not wide:
            return entries
        # A rule never applies at its own mirrors.
        own = set.intersection(*(set(each.templates) for each in wide))
        first = entries.index(wide[0])
        before = _make_keeps([*entries[:first], *entries[first + 1 :]], own)
        after = _make_keeps([wide[0]], own) if len(wide) > 1 else []
        return [*entries[:first], *before, wide[0], *after, *entries[first + 1 :]]

    def _drop_cycles(self, rules: list[tuple[Rule, _Entry]]) -> list[tuple[Rule, _Entry]]:
        """Return the rules that can be applied together."""
        try:
            MirrorMap(rule for rule, _ in rules)
        except InvalidRuleError:
            kept: list[tuple[Rule, _Entry]] = []
        else:
            return rules
        for rule, entry in rules:
            try:
                MirrorMap([*(each for each, _ in kept), rule])
            except InvalidRuleError as error:
                self._warn_of(entry, f"left out: {rule.name} cannot be a rule: {error}")
            else:
                kept.append((rule, entry))
        return kept

    def _warn_of_chains(self, rules: list[tuple[Rule, _Entry]]) -> None:
        """Warn of mirrors under another rule, which is applied too; other tools stop there."""
        mirror_map = MirrorMap(rule for rule, _ in rules)
        for rule, entry in rules:
            for mirror in rule.mirrors:
                registry, _, path = mirror.target.partition("\\")[0].rstrip("/").partition("/")
                name = f"{path}/{_NO_NAME}" if path else _NO_NAME
                following = mirror_map.find_applicable_rule(registry, name)
                if following is not None and following is not rule and not following.keep:
                    self._warn_of(
                        entry,
                        f"images that go to {mirror.target} go on by the rule for {following.name}",
                    )


def _make_keeps(entries: Iterable[_Entry], own: set[str]) -> list[_Entry]:
    """Return entries that keep images at the mirrors of *entries*, other than *own*."""
    keeps: dict[str, _Entry] = {}
    for entry in entries:
        for mirror in entry.templates or entry.mirrors:
            if mirror in own or not entry.is_final:
                continue
            target = _get_target(mirror).partition("\\")[0].rstrip("/")
            if is_domain(target.partition("/")[0]):
                port = "" if "/" in target or ":" in target else "(?::[0-9]+)?"
                regex = f"{escape(target)}{port}/.+"
                keeps.setdefault(target, _Entry(entry.origin, entry.line, regex=regex))
    return list(keeps.values())


def _get_target(mirror: Mirror | str) -> str:
    return mirror.target if isinstance(mirror, Mirror) else mirror


def _make_regex(match: str, mirrors: Iterable[Mirror | str]) -> str:
    """Return the regular expression for a match, whose group is what stays behind a mirror."""
    parsed = parse_match(match)
    registry = escape(parsed.registry)
    if parsed.is_wildcard:
        registry = f"[^/]+{escape(parsed.registry[1:])}"
    if any(isinstance(each, Mirror) and each.flatten for each in mirrors):
        return f"{registry}/(?:.+/)?([^/]+)"
    if not parsed.path:
        return f"{registry}/(.+)"
    return f"{registry}/{escape(parsed.path)}(/.+)?"


def _make_template(mirror: Mirror | str, match: str) -> str:
    return f"{_get_target(mirror)}\\1" if "/" in match else f"{_get_target(mirror)}/\\1"
