"""k3s and RKE2: ``registries.yaml`` (`format`_), read when the node's agent starts.

The endpoints of a registry share its rewrites, which change the repository's name and are
not used at the registry itself. A path that only one endpoint has goes into its URL.

.. _format: https://docs.k3s.io/installation/private-registry
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.render.endpoints import base_url
from webhook.render.entries import entries_of
from webhook.render.omissions import unsayable
from webhook.render.output import Code, Deviations, File, Rendered
from webhook.render.registries import note_paths, whole_registries
from webhook.render.rewrites import Rewrites

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.entry import Entry

__all__ = ["render_k3s"]

PATH: Final = "registries.yaml"
WILDCARD: Final = "k3s knows no subdomains, so these rules are left out"
SAME_REGISTRY: Final = "k3s rewrites no name within one registry, so these are left out"
MIXED: Final = "k3s flattens for all mirrors of a registry or for none: left out are"
NEVER: Final = (
    "k3s asks the registry itself last, unless its agents run with "
    "--disable-default-registry-endpoint"
)


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
