"""CRI-O, podman, buildah and skopeo: a drop-in for ``registries.conf.d`` (`format`_).

The longest prefix of an image wins, and the rest of its name follows each location. So
paths, moves within one registry and exceptions are all entries of their own.

.. _format: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.render.output import (
    RenderedFile,
    RenderResult,
    WarningCode,
    WarningCollector,
    collect_rule_warnings,
)
from webhook.render.prefix_table import make_prefix_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import PrefixEntry

__all__ = ["render_crio"]

PATH: Final = "registries.conf.d/50-mirrorhook.conf"
WILDCARD: Final = "a wildcard with a path or a port is not supported, so these rules are left out"
FLATTEN: Final = "names cannot be flattened, so these mirrors are left out"
FLATTEN_BELOW: Final = "treated as one repository: names below it would not be flattened"
ORIGINAL: Final = "the registries of a wildcard cannot be asked first, so they are asked last"


def render_crio(rules: Sequence[Rule]) -> RenderResult:
    """Return the rules as a drop-in of registries.conf, version 2.

    Raises:
        InvalidRuleError: The rules make too many prefixes together.
    """
    warnings = collect_rule_warnings(rules)
    tables = []
    is_mirrored = False
    for entry in make_prefix_table(rules):
        if entry.is_wildcard and (entry.path or ":" in entry.registry):
            warnings.add(WarningCode.WILDCARD, WILDCARD, entry.prefix, misleads=True)
            continue
        locations = list(_iterate_locations(entry, warnings))
        is_mirrored = is_mirrored or bool(locations)
        tables.append("\n".join([*_format_registry(entry, locations, warnings), ""]))
    if not is_mirrored:
        return RenderResult((), warnings.collect())
    text = "\n".join(["# Written by mirrorhook render crio.\n", *tables])
    return RenderResult((RenderedFile(PATH, text),), warnings.collect())


def _iterate_locations(entry: PrefixEntry, warnings: WarningCollector) -> Iterator[str]:
    """Yield the targets that can be locations, and warn of the others.

    A flattened name is known if the prefix is a whole repository, as in lists of images.
    """
    misleads = any(not target.flatten for target in entry.targets)
    for target in entry.targets:
        name = f"{entry.prefix} → {target.name}"
        if not target.flatten:
            yield target.name
        elif entry.path:
            warnings.add(WarningCode.FLATTEN_BELOW, FLATTEN_BELOW, name)
            yield f"{target.name}/{entry.path.rpartition('/')[2]}"
        else:
            warnings.add(WarningCode.FLATTEN, FLATTEN, name, misleads=misleads)


def _format_registry(
    entry: PrefixEntry, mirrors: list[str], warnings: WarningCollector
) -> Iterator[str]:
    """Yield the lines of one registry; its location is asked after its mirrors."""
    location = "" if entry.is_wildcard else entry.prefix
    if mirrors and entry.original is Original.FIRST:
        if entry.is_wildcard:
            warnings.add(WarningCode.ORIGINAL, ORIGINAL, entry.prefix, misleads=True)
        else:
            mirrors = [location, *mirrors]
            location = mirrors.pop()
    elif mirrors and entry.original is Original.NEVER:
        location = mirrors.pop()
    yield "[[registry]]"
    yield f"prefix = {json.dumps(entry.prefix)}"
    if location:
        yield f"location = {json.dumps(location)}"
    for mirror in mirrors:
        yield ""
        yield "[[registry.mirror]]"
        yield f"location = {json.dumps(mirror)}"
