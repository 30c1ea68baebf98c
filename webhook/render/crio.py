"""CRI-O, podman, buildah and skopeo: a drop-in for ``registries.conf.d`` (`format`_).

The longest prefix of an image wins, and what follows it follows each location. So paths,
moves within one registry and exclusions can be said, each as an entry of its own.

.. _format: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.render.output import Code, Deviations, File, Rendered, unsayable
from webhook.render.prefix_table import Place, entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import Entry

__all__ = ["render_crio"]

PATH: Final = "registries.conf.d/50-mirrorhook.conf"
WILDCARD: Final = "a path below subdomains cannot be said, so these rules are left out"
FLATTEN: Final = "a name cannot be flattened, so these mirrors are left out"
FLATTEN_BELOW: Final = (
    "taken for one repository: what lies below it would keep the rest of its name"
)
ORIGINAL: Final = "subdomains cannot be asked first themselves, so they are asked last"


def render_crio(rules: Sequence[Rule]) -> Rendered:
    """Return the rules as a drop-in of registries.conf, version 2.

    Args:
        rules: The rules, as a map of mirrors holds them.

    Raises:
        InvalidRuleError: As `entries_of`.
    """
    deviations = unsayable(rules)
    tables = []
    mirrored = False
    for entry in entries_of(rules):
        if entry.is_wildcard and entry.path:
            if entry.places:
                deviations.note(Code.WILDCARD, WILDCARD, entry.prefix, misleads=True)
            continue
        places = list(sayable(entry, deviations))
        mirrored = mirrored or bool(places)
        tables.append("\n".join([*lines(entry, places, deviations), ""]))
    if not mirrored:
        return Rendered((), deviations())
    text = "\n".join(["# Written by mirrorhook render crio.\n", *tables])
    return Rendered((File(PATH, text),), deviations())


def sayable(entry: Entry, deviations: Deviations) -> Iterator[Place]:
    """Yield the places that a location can stand for; the others are noted.

    A flattened name is known where the prefix is a whole repository, as with images
    that are listed one by one.
    """
    known = any(not place.flatten for place in entry.places) or bool(entry.path)
    for place in entry.places:
        name = f"{entry.prefix} → {place.target}"
        if not place.flatten:
            yield place
        elif entry.path:
            deviations.note(Code.FLATTEN_BELOW, FLATTEN_BELOW, name)
            yield Place(f"{place.target}/{entry.path.rpartition('/')[2]}")
        else:
            deviations.note(Code.FLATTEN, FLATTEN, name, misleads=known)


def lines(entry: Entry, places: list[Place], deviations: Deviations) -> Iterator[str]:
    """Yield the lines of one registry: the location is asked after its mirrors."""
    locations = [place.target for place in places]
    location = "" if entry.is_wildcard else entry.prefix
    if locations and entry.original is Original.FIRST:
        if entry.is_wildcard:
            deviations.note(Code.ORIGINAL, ORIGINAL, entry.prefix, misleads=True)
        else:
            locations.insert(0, location)
            location = locations.pop()
    elif locations and entry.original is Original.NEVER:
        location = locations.pop()
    yield "[[registry]]"
    yield f"prefix = {json.dumps(entry.prefix)}"
    if location:
        yield f"location = {json.dumps(location)}"
    for mirror in locations:
        yield ""
        yield "[[registry.mirror]]"
        yield f"location = {json.dumps(mirror)}"
