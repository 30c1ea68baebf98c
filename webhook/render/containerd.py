"""containerd: ``certs.d/HOST/hosts.toml`` (`hosts`_), read at each pull, without a restart.

containerd mirrors whole registries: it asks each host for the unchanged name of the
repository, below the path of the host (``override_path``), and the registry itself last.

.. _hosts: https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.core.reference import is_loopback
from webhook.render.output import (
    RenderedFile,
    RenderResult,
    WarningCode,
    collect_rule_warnings,
)
from webhook.render.prefix_table import MirrorTarget, make_prefix_table
from webhook.render.registries import make_api_url, split_by_path, warn_of_paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import PrefixEntry

__all__ = ["render_containerd"]

WILDCARD: Final = "containerd does not support wildcards, so these rules are left out"
FLATTEN: Final = "containerd cannot flatten names, so these mirrors are left out"
# Without `resolve`, a host is not asked for tags.
CAPABILITIES: Final = 'capabilities = ["pull", "resolve"]'


def render_containerd(rules: Sequence[Rule]) -> RenderResult:
    """Return the rules as containerd's configuration of registry hosts.

    Raises:
        InvalidRuleError: The rules make too many prefixes together.
    """
    warnings = collect_rule_warnings(rules)
    files = []
    mirrored = set()
    whole, parts = split_by_path(make_prefix_table(rules), WILDCARD, warnings)
    for entry in whole:
        targets = [target for target in entry.targets if not target.flatten]
        for target in entry.targets:
            if target.flatten:
                name = f"{entry.prefix} → {target.name}"
                warnings.add(WarningCode.FLATTEN, FLATTEN, name, misleads=bool(targets))
        if targets:
            mirrored.add(entry.registry)
            text = "\n".join([*_format_registry(entry, targets), ""])
            files.append(RenderedFile(f"certs.d/{entry.registry}/hosts.toml", text))
    warn_of_paths(parts, mirrored, "containerd", warnings)
    return RenderResult(tuple(files), warnings.collect())


def _format_registry(entry: PrefixEntry, targets: list[MirrorTarget]) -> Iterator[str]:
    """Yield the lines of a file; containerd asks what is outside of any ``[host]`` last."""
    itself = MirrorTarget(entry.registry)
    order = list(targets)
    if entry.original is Original.FIRST:
        order.insert(0, itself)
    last = itself
    if entry.original is not Original.LAST:
        last = order.pop()
    yield "# Written by mirrorhook render containerd."
    # For a registry on the node itself, containerd chooses the scheme when it asks.
    if last is not itself or not is_loopback(entry.registry):
        yield f"server = {json.dumps(make_api_url(last))}"
    if last is not itself:
        yield from _format_options(last)
    for target in order:
        yield ""
        yield f"[host.{json.dumps(make_api_url(target))}]"
        yield from (f"  {line}" for line in _format_options(target))


def _format_options(target: MirrorTarget) -> Iterator[str]:
    yield CAPABILITIES
    if target.path:
        yield "override_path = true"
