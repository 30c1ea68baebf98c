"""containerd: ``certs.d/HOST/hosts.toml`` (`hosts`_), read at each pull, without a restart.

It mirrors a whole registry: each host is asked for the repository's name as it is, below
the host's own path (``override_path``), and the registry itself comes last.

.. _hosts: https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.render.output import Code, File, Rendered, unsayable
from webhook.render.prefix_table import Place, entries_of
from webhook.render.registries import api_of, is_loopback, note_paths, whole_registries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import Entry

__all__ = ["render_containerd"]

WILDCARD: Final = "containerd knows no subdomains, so these rules are left out"
FLATTEN: Final = "containerd cannot flatten a name, so these mirrors are left out"
# Without `resolve` a host is not asked for tags.
CAPABILITIES: Final = 'capabilities = ["pull", "resolve"]'


def render_containerd(rules: Sequence[Rule]) -> Rendered:
    """Return the rules as containerd's configuration of registry hosts.

    Args:
        rules: The rules, as a map of mirrors holds them.

    Raises:
        InvalidRuleError: As `entries_of`.
    """
    deviations = unsayable(rules)
    entries = entries_of(rules)
    files = []
    whole, parts = whole_registries(entries, WILDCARD, deviations)
    for entry in whole:
        places = [place for place in entry.places if not place.flatten]
        for place in entry.places:
            if place.flatten:
                deviations.note(
                    Code.FLATTEN,
                    FLATTEN,
                    f"{entry.prefix} → {place.target}",
                    misleads=bool(places),
                )
        if places:
            path = f"certs.d/{entry.registry}/hosts.toml"
            files.append(File(path, "\n".join([*lines(entry, places), ""])))
    mirrored = {file.path.split("/")[1] for file in files}
    note_paths(parts, mirrored, "containerd", deviations)
    return Rendered(tuple(files), deviations())


def lines(entry: Entry, places: list[Place]) -> Iterator[str]:
    """Yield the lines of the file of one registry.

    What stands outside of a ``[host]`` is asked last.
    """
    itself = Place(entry.registry)
    order = list(places)
    if entry.original is Original.FIRST:
        order.insert(0, itself)
    last = itself
    if entry.original is not Original.LAST:
        last = order.pop()
    yield "# Written by mirrorhook render containerd."
    # For a registry on the node itself containerd chooses the scheme while asking.
    if last is not itself or not is_loopback(entry.registry):
        yield f"server = {json.dumps(api_of(last))}"
    if last is not itself:
        yield from options(last)
    for place in order:
        yield ""
        yield f"[host.{json.dumps(api_of(place))}]"
        yield from (f"  {line}" for line in options(place))


def options(place: Place) -> Iterator[str]:
    """Yield what holds for one host."""
    yield CAPABILITIES
    if place.path:
        yield "override_path = true"
