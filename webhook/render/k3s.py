"""k3s and RKE2: ``registries.yaml`` (`format`_), read when the node's agent starts.

The endpoints of a registry share its rewrites, which change the repository's name and are
not used at the registry itself. A path that only one endpoint has goes into its URL.

.. _format: https://docs.k3s.io/installation/private-registry
"""

from __future__ import annotations

import json
import re
from itertools import takewhile
from typing import TYPE_CHECKING, Final, TypeAlias

from webhook.core import Original
from webhook.render.output import Code, Deviations, File, Rendered, unsayable
from webhook.render.prefix_table import entries_of
from webhook.render.registries import base_url, note_paths, whole_registries

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import Entry, Place

__all__ = ["Rewrites", "flattening", "moving", "outside", "render_k3s"]

PATH: Final = "registries.yaml"
WILDCARD: Final = "k3s knows no subdomains, so these rules are left out"
SAME_REGISTRY: Final = "k3s rewrites no name within one registry, so these are left out"
MIXED: Final = "k3s flattens for all mirrors of a registry or for none: left out are"
NEVER: Final = (
    "k3s asks the registry itself last, unless its agents run with "
    "--disable-default-registry-endpoint"
)
Trie: TypeAlias = "dict[str, Trie]"

LAST_PART: Final = "([^/]+)"


def render_k3s(rules: Sequence[Rule]) -> Rendered:
    """Return the rules as the mirrors of k3s's registries.yaml.

    Args:
        rules: The rules, as a map of mirrors holds them.

    Raises:
        InvalidRuleError: As `entries_of`.
    """
    deviations = unsayable(rules)
    whole, parts = whole_registries(entries_of(rules), WILDCARD, deviations)
    text = ["# Written by mirrorhook render k3s.", "mirrors:"]
    mirrored = set()
    said: set[str] = set()
    for entry in whole:
        rewrites = rewrites_of(entry, deviations)
        if rewrites is None:
            continue
        mirrored.add(entry.registry)
        said |= {
            part.prefix for part in parts if part.registry == entry.registry and rewrites.take(part)
        }
        text += lines(entry, rewrites)
    unsaid = [part for part in parts if part.prefix not in said]
    note_paths(unsaid, mirrored, "k3s", deviations)
    if not mirrored:
        return Rendered((), deviations())
    return Rendered((File(PATH, "\n".join([*text, ""])),), deviations())


def rewrites_of(entry: Entry, deviations: Deviations) -> Rewrites | None:
    """Return what becomes of the names of a whole registry; None if that cannot be said."""
    places = []
    for place in entry.places:
        name = f"{entry.prefix} → {place.target}"
        if place.registry == entry.registry:
            deviations.note(Code.SAME_REGISTRY, SAME_REGISTRY, name, misleads=len(entry.places) > 1)
        elif place.flatten is not entry.places[0].flatten:
            deviations.note(Code.FLATTEN, MIXED, name, misleads=True)
        else:
            places.append(place)
    if not places:
        return None
    if entry.original is Original.NEVER:
        deviations.note(Code.ORIGINAL, NEVER, entry.prefix, misleads=True)
    return Rewrites(tuple(places))


def lines(entry: Entry, rewrites: Rewrites) -> Iterator[str]:
    """Yield the lines of one registry."""
    yield f"  {json.dumps(entry.registry)}:"
    yield "    endpoint:"
    if entry.original is Original.FIRST:
        yield f"      - {json.dumps(base_url(entry.registry))}"
    for endpoint in rewrites.endpoints():
        yield f"      - {json.dumps(endpoint)}"
    patterns = rewrites.patterns()
    if patterns:
        yield "    rewrite:"
    for pattern, replacement in patterns.items():
        yield f"      {json.dumps(pattern)}: {json.dumps(replacement)}"


class Rewrites:
    """The endpoints of a registry and the rewrites that they share.

    Args:
        places: Where the images of the whole registry come from: all flatten, or none.
    """

    def __init__(self, places: tuple[Place, ...]) -> None:
        self._hosts = [place.registry for place in places]
        self._flatten = {"": places[0].flatten}
        self._paths = {"": [parts_of(place.path) for place in places]}

    def take(self, entry: Entry) -> bool:
        """Take up the entry for a part of the registry, if the endpoints have room for it."""
        if self._flatten[""] or [p.registry for p in entry.places] != self._hosts:
            return False
        flatten = {place.flatten for place in entry.places}
        above = [path for path in self._paths if entry.path.startswith(f"{path}/")]
        if len(flatten) != 1 or any(self._flatten[path] for path in above):
            return False
        paths = {**self._paths, entry.path: [parts_of(p.path) for p in entry.places]}
        if shared(paths) is None:
            return False
        self._paths = paths
        self._flatten[entry.path] = flatten.pop()
        return True

    def endpoints(self) -> list[str]:
        """Return the URLs of the mirrors, each with the path that all its names begin with."""
        if self._is_plain:
            own = ["/".join(path) for path in self._paths[""]]
        else:
            own = ["/".join(path) for path in bases(self._paths.values())]
        return [
            f"{base_url(host)}/v2/{path}" if path else base_url(host)
            for host, path in zip(self._hosts, own, strict=True)
        ]

    def patterns(self) -> dict[str, str]:
        """Return the patterns and replacements, of which one at most matches a name."""
        if self._is_plain:
            return {}
        targets = shared(self._paths) or {}
        patterns: dict[str, str] = {}
        for path, target in targets.items():
            if self._flatten[path]:
                patterns |= flattening(path, target)
            else:
                below = [other for other in targets if is_below(other, path)]
                pattern, replacement = moving(path, target, below)
                patterns[pattern] = replacement
        return patterns

    @property
    def _is_plain(self) -> bool:
        """Whether the paths of the endpoints say it all."""
        several = len({tuple(path) for path in self._paths[""]}) > 1
        return list(self._flatten.items()) == [("", False)] and several


def parts_of(path: str) -> list[str]:
    """Return the parts of a path; none if it is empty."""
    return path.split("/") if path else []


def is_below(path: str, above: str) -> bool:
    """Say whether one path lies below another."""
    return path != above and (not above or path.startswith(f"{above}/"))


def bases(paths: Iterable[list[list[str]]]) -> list[list[str]]:
    """Return for each endpoint the parts that all its paths begin with, unless it is alone.

    A single endpoint needs none, and neither do several with the same paths.
    """
    columns = list(zip(*paths, strict=True))
    if all(column == columns[0] for column in columns):
        return [[] for _ in columns]
    return [beginning(list(column)) for column in columns]


def beginning(paths: list[list[str]]) -> list[str]:
    """Return the parts that all paths begin with."""
    alike = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return [parts[0] for parts in alike]


def shared(paths: dict[str, list[list[str]]]) -> dict[str, str] | None:
    """Return the target of each path below the endpoints; None if the endpoints differ."""
    own = bases(paths.values())
    targets = {}
    for path, columns in paths.items():
        rests = {"/".join(column[len(base) :]) for column, base in zip(columns, own, strict=True)}
        if len(rests) != 1:
            return None
        targets[path] = rests.pop()
    return targets


def moving(path: str, target: str, others: Collection[str] = ()) -> tuple[str, str]:
    """Return a pattern for what lies below a path, and its replacement.

    Args:
        path: Leading parts of the repository; empty for all of it.
        target: What takes their place; it may be empty.
        others: Longer paths below *path* that other patterns cover.
    """
    rest = outside({other[len(path) :].removeprefix("/") for other in others})
    if not path:
        return f"^({rest})$", f"{target}/$1" if target else "$1"
    literal = re.escape(path)
    if not target:
        return f"^{literal}/({rest})$", "$1"
    return f"^{literal}(/{rest})?$", f"{target}$1"


def flattening(path: str, target: str) -> dict[str, str]:
    """Return patterns and replacements that keep the last part of what lies below a path.

    Args:
        path: Leading parts of the repository; empty for all of it.
        target: What the last part follows; it may be empty.
    """
    before = f"{target}/" if target else ""
    if not path:
        return {f"^(?:.*/)?{LAST_PART}$": f"{before}$1"}
    literal = re.escape(path)
    return {
        f"^{literal}$": before + path.rpartition("/")[2],
        f"^{literal}/(?:.*/)?{LAST_PART}$": f"{before}$1",
    }


def outside(paths: Collection[str]) -> str:
    """Return a pattern for every name that neither is one of *paths* nor lies below one."""
    if not paths:
        return ".*"
    trie: Trie = {}
    topmost = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
    for path in topmost:
        node = trie
        for character in f"{path}/":
            node = node.setdefault(character, {})
    return spelt(trie)


def spelt(trie: Trie) -> str:
    """Return a pattern for what leaves a *trie* before the slash that ends a path of it."""
    known = "".join(sorted(trie))
    ways = [f"[^{re.escape(known)}].*"]
    for character, below in sorted(trie.items()):
        if below:
            ways.append(re.escape(character) + spelt(below))
    ended = trie.get("/") == {}
    return f"(?:{'|'.join(ways)})" + ("" if ended else "?")
