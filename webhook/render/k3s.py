"""k3s and RKE2: ``registries.yaml`` (`format`_), read when the node's agent starts.

The endpoints of a registry share its rewrites, which change the name of the repository. So the
end that their paths have in common is written by the rewrites, and what is before it is in the URL
of each. The registry itself is asked last, without rewrites; where it is an endpoint, to be asked
first, they apply to it too.

With a rule for a part of a registry, the endpoints are asked for all its images. Those that no rule
matches get a name there that no registry can have, so that their own registry is asked next.

.. _format: https://docs.k3s.io/installation/private-registry
"""

from __future__ import annotations

import json
import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB
from webhook.render.output import (
    RenderedFile,
    RenderResult,
    WarningCode,
    WarningCollector,
    collect_rule_warnings,
)
from webhook.render.prefix_table import make_prefix_table
from webhook.render.registries import make_base_url, split_by_path, warn_of_paths

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import MirrorTarget, PrefixEntry

    Trie: TypeAlias = "dict[str, Trie]"

__all__ = ["make_exclusion_pattern", "render_k3s"]

PATH: Final = "registries.yaml"
WILDCARD: Final = "k3s does not support wildcards, so these rules are left out"
SAME_REGISTRY: Final = "k3s cannot mirror a registry to itself, so these mirrors are left out"
MIXED: Final = (
    "k3s flattens names for all mirrors of a registry or none, so these mirrors are left out"
)
OTHER_HOSTS: Final = (
    "k3s mirrors a registry to the same hosts for all its images, so other rules for a part of it "
    "are left out"
)
DIFFERENT_ENDS: Final = (
    "k3s renames images for all mirrors alike, and the paths of these mirrors end differently, so "
    "images of exactly this name come from the registry itself"
)
FIRST: Final = (
    "k3s renames images for the registry itself too if it is asked first, so it is asked last"
)
NEVER: Final = (
    "k3s asks the registry itself last, unless its agents run with "
    "--disable-default-registry-endpoint"
)
LAST_PART: Final = "([^/]+)"
# No repository begins with it (distribution/reference), so registries answer with an error.
NOWHERE: Final = "_"


def render_k3s(rules: Sequence[Rule]) -> RenderResult:
    """Return the rules as the mirrors of k3s's registries.yaml.

    Raises:
        InvalidRuleError: The rules make too many prefixes together.
    """
    warnings = collect_rule_warnings(rules)
    whole, parts = split_by_path(make_prefix_table(rules), WILDCARD, warnings)
    text = ["# Written by mirrorhook render k3s.", "mirrors:"]
    mirrored = set()
    covered: set[str] = set()
    for entry in (*whole, *_iterate_first_parts(whole, parts)):
        targets = tuple(_iterate_targets(entry, warnings))
        if not targets:
            continue
        rewrites = _Rewrites(entry, targets)
        mirrored.add(entry.registry)
        covered.update(_add_parts(rewrites, entry, parts, warnings))
        for prefix in rewrites.find_different_ends():
            warnings.add(WarningCode.PATH_RULE, DIFFERENT_ENDS, prefix)
        if entry.original is Original.NEVER:
            warnings.add(WarningCode.ORIGINAL, NEVER, entry.prefix, misleads=True)
        elif entry.original is Original.FIRST and rewrites.is_renaming:
            warnings.add(WarningCode.ORIGINAL, FIRST, entry.prefix, misleads=True)
        text += _format_registry(entry, rewrites)
    others = [part for part in parts if part.prefix not in covered]
    warn_of_paths(others, mirrored, "k3s", warnings)
    if not mirrored:
        return RenderResult((), warnings.collect())
    return RenderResult((RenderedFile(PATH, "\n".join([*text, ""])),), warnings.collect())


def _add_parts(
    rewrites: _Rewrites,
    entry: PrefixEntry,
    parts: Iterable[PrefixEntry],
    warnings: WarningCollector,
) -> Iterator[str]:
    """Add the other parts of the registry of *entry*, and yield the prefixes that are right then.

    Those with other mirrors come from the registry itself, with a warning.
    """
    yield entry.prefix
    for part in parts:
        if part.registry != entry.registry or part is entry:
            continue
        if rewrites.add(part):
            yield part.prefix
        elif rewrites.leave_out(part):
            warnings.add(WarningCode.PATH_RULE, OTHER_HOSTS, part.prefix)
            yield part.prefix


def _iterate_first_parts(
    whole: Iterable[PrefixEntry], parts: Iterable[PrefixEntry]
) -> Iterator[PrefixEntry]:
    """Yield the first part that k3s can mirror of each registry that is not mirrored as a whole."""
    known = {entry.registry for entry in whole}
    for part in parts:
        is_elsewhere = all(target.registry != part.registry for target in part.targets)
        is_possible = is_elsewhere and _is_possible(part, _split_paths(part.targets)[1])
        if part.targets and part.registry not in known and is_possible:
            known.add(part.registry)
            yield part


def _iterate_targets(entry: PrefixEntry, warnings: WarningCollector) -> Iterator[MirrorTarget]:
    """Yield the targets of an entry that k3s can mirror to, and warn of the others."""
    elsewhere = [target for target in entry.targets if target.registry != entry.registry]
    for target in entry.targets:
        name = f"{entry.prefix} → {target.name}"
        if target.registry == entry.registry:
            misleads = len(entry.targets) > 1
            warnings.add(WarningCode.SAME_REGISTRY, SAME_REGISTRY, name, misleads=misleads)
        elif target.flatten is not elsewhere[0].flatten:
            warnings.add(WarningCode.FLATTEN, MIXED, name, misleads=True)
        else:
            yield target


def _format_registry(entry: PrefixEntry, rewrites: _Rewrites) -> Iterator[str]:
    yield f"  {json.dumps(entry.registry)}:"
    yield "    endpoint:"
    if entry.original is Original.FIRST and not rewrites.is_renaming:
        yield f"      - {json.dumps(make_base_url(entry.registry))}"
    for endpoint in rewrites.make_endpoints():
        yield f"      - {json.dumps(endpoint)}"
    patterns = rewrites.make_patterns()
    if patterns:
        yield "    rewrite:"
    for pattern, replacement in patterns.items():
        yield f"      {json.dumps(pattern)}: {json.dumps(replacement)}"


class _Rewrites:
    """The endpoints of a registry, and the rewrites that they share.

    Args:
        entry: The registry, or the first of its parts.
        targets: Where its images come from: all flatten, or none does.
    """

    def __init__(self, entry: PrefixEntry, targets: Sequence[MirrorTarget]) -> None:
        self._registry = entry.registry
        self._original = entry.original
        self._hosts = [target.registry for target in targets]
        self._starts, end = _split_paths(targets)
        if entry.original is Original.FIRST and not entry.path:
            self._starts, end = [target.path for target in targets], ""
        # By path in the registry: what takes its place, and whether names are flattened.
        self._ends = {"": NOWHERE, entry.path: end}
        self._flatten = {"": False, entry.path: targets[0].flatten}

    def add(self, entry: PrefixEntry) -> bool:
        """Add the entry for a part of the registry, and return whether that was possible."""
        if not entry.targets:
            return self.leave_out(entry)
        starts, end = _split_paths(entry.targets)
        flatten = {target.flatten for target in entry.targets}
        if (
            entry.original is not self._original
            or [target.registry for target in entry.targets] != self._hosts
            or starts != self._starts
            or len(flatten) != 1
            or not _is_possible(entry, end)
        ):
            return False
        return self._set(entry.path, end, flatten=flatten.pop())

    def leave_out(self, entry: PrefixEntry) -> bool:
        """Take a part of the registry from itself, and return whether that was possible."""
        return self._set(entry.path, f"{NOWHERE}/{entry.path}", flatten=False)

    def _set(self, path: str, end: str, *, flatten: bool) -> bool:
        # The pattern of a path that flattens matches all names below it.
        around = [other for other in self._ends if _is_below(path, other) or other == path]
        if any(self._flatten[other] for other in around):
            return False
        if flatten and any(_is_below(other, path) for other in self._ends):
            return False
        self._ends[path] = end
        self._flatten[path] = flatten
        return True

    @property
    def is_renaming(self) -> bool:
        """Whether an image of the mirrors has another name there than in the registry."""
        return any(self._flatten.values()) or any(
            end != path and not end.startswith(NOWHERE) for path, end in self._ends.items()
        )

    def find_different_ends(self) -> Iterator[str]:
        """Yield the prefixes that are themselves at paths that end differently."""
        for path, end in self._ends.items():
            if path and not end and any(self._starts) and not self._flatten[path]:
                yield f"{self._registry}/{path}"

    def make_endpoints(self) -> list[str]:
        """Return the URLs of the mirrors, each with the start of its path."""
        return [
            f"{make_base_url(host)}/v2/{start}" if start else make_base_url(host)
            for host, start in zip(self._hosts, self._starts, strict=True)
        ]

    def make_patterns(self) -> dict[str, str]:
        """Return the patterns and their replacements; at most one pattern matches a name."""
        patterns: dict[str, str] = {}
        if self._ends == {"": ""} and not self._flatten[""]:
            return patterns
        for path, end in self._ends.items():
            if self._flatten[path]:
                patterns |= _make_flattening_patterns(path, end)
            else:
                below = [other for other in self._ends if _is_below(other, path)]
                patterns |= _make_moving_patterns(path, end, below)
        return patterns


def _is_below(path: str, above: str) -> bool:
    return path != above and (not above or path.startswith(f"{above}/"))


def _split_paths(targets: Iterable[MirrorTarget]) -> tuple[list[str], str]:
    """Return the start of the path of each target, and the end that all paths have in common."""
    paths = [target.path for target in targets]
    backwards = zip(*(reversed(path.split("/")) for path in paths), strict=False)
    alike = takewhile(lambda parts: len(set(parts)) == 1, backwards)
    end = "/".join(reversed([parts[0] for parts in alike]))
    return [path.removesuffix(end).removesuffix("/") for path in paths], end


def _is_possible(entry: PrefixEntry, end: str) -> bool:
    """Return whether rewrites can replace the path of an entry by *end*.

    On Docker Hub k3s puts ``library/`` before a name that a rewrite leaves with one part.
    """
    return bool(entry.registry != DOCKER_HUB or not entry.path or end)


def _make_moving_patterns(path: str, target: str, others: Collection[str]) -> dict[str, str]:
    """Return patterns for what is below a path but not below *others*, and replacements.

    Without a target, the path itself is left with no name, so it goes nowhere.
    """
    rest = make_exclusion_pattern({other[len(path) :].removeprefix("/") for other in others})
    if not path:
        return {f"^({rest})$": f"{target}/$1" if target else "$1"}
    literal = re.escape(path)
    if not target:
        return {f"^{literal}/({rest})$": "$1", f"^{literal}$": f"{NOWHERE}/{path}"}
    return {f"^{literal}(/{rest})?$": f"{target}$1"}


def _make_flattening_patterns(path: str, target: str) -> dict[str, str]:
    """Return patterns and replacements that keep the last part of what is below a path."""
    before = f"{target}/" if target else ""
    if not path:
        return {f"^(?:.*/)?{LAST_PART}$": f"{before}$1"}
    literal = re.escape(path)
    return {
        f"^{literal}$": before + path.rpartition("/")[2],
        f"^{literal}/(?:.*/)?{LAST_PART}$": f"{before}$1",
    }


def make_exclusion_pattern(paths: Collection[str]) -> str:
    """Return a pattern for every name that is neither one of *paths* nor below one.

    k3s tries its rewrites in no order, and Go's regular expressions have no look-ahead. So
    the pattern spells out every name that does not belong to the longer paths.
    """
    if not paths:
        return ".*"
    trie: Trie = {}
    topmost = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
    for path in topmost:
        node = trie
        for character in f"{path}/":
            node = node.setdefault(character, {})
    return _format_exclusion(trie)


def _format_exclusion(trie: Trie) -> str:
    """Return a pattern for what leaves a trie before the slash that ends one of its paths."""
    known = "".join(sorted(trie))
    branches = [f"[^{re.escape(known)}].*"]
    for character, below in sorted(trie.items()):
        if below:
            branches.append(re.escape(character) + _format_exclusion(below))
    is_end = trie.get("/") == {}
    return f"(?:{'|'.join(branches)})" + ("" if is_end else "?")
