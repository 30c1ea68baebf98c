"""registries.yaml of k3s and RKE2 (`format`_).

.. _format: https://docs.k3s.io/installation/private-registry
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.imports.tree import documents, entries, line_of, table
from webhook.imports.urls import target_of

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch
    from webhook.imports.tree import Table, Tree

__all__ = ["from_k3s"]

EVERY: Final = "*"
CONFIGS: Final = "configs (credentials and TLS) have no equivalent: left out"
ALL: Final = re.compile(r"\^?\(\.[*+]\)\$?")
BELOW: Final = re.compile(r"\^((?:\\[.\-]|[a-z0-9._/-])+?)(?:/\(\.[*+]\)|\(/\.[*]\)\??)\$?")
GROUP: Final = re.compile(r"\$\{?1\}?$")


def from_k3s(text: str, sketch: Sketch) -> None:
    """Sketch the rules of a registries.yaml."""
    found = False
    for document in documents(text):
        content = table(document)
        mirrors = table(content.get("mirrors"))
        found = found or bool(mirrors)
        for registry, entry in mirrors.items():
            sketch_registry(registry, entry, mirrors.lines[registry], sketch)
        if content.get("configs"):
            sketch.remark(content.lines["configs"], CONFIGS)
    if not found:
        sketch.remark(0, "there is nothing under mirrors: no rule comes of it")


def sketch_registry(registry: str, entry: Tree, line: int, sketch: Sketch) -> None:
    """Sketch the mirrors of one registry."""
    known = table(entry)
    if registry == EVERY:
        sketch.remark(line, '"*" mirrors every registry under its own path, which no rule says')
        return
    hosts = []
    for endpoint in entries(known.get("endpoint")):
        target = target_of(str(endpoint), overrides=True)
        if target is None:
            problem = f"{endpoint} has no place in an image's name: left out"
            sketch.remark(line_of(endpoint, line), problem)
        else:
            hosts.append(target)
    if not hosts:
        sketch.remark(line, f"{registry} has no mirrors that a rule can name: left out")
        return
    original = Original.LAST
    if hosts[0] == registry and len(hosts) > 1:
        hosts, original = hosts[1:], Original.FIRST
    rewrites = table(known.get("rewrite"))
    if not rewrites:
        sketch.mirror(line, registry, hosts, original)
    for pattern, replacement in rewrites.items():
        at = line_of(replacement, rewrites.line)
        sketch_rewrite(registry, hosts, original, (pattern, str(replacement)), at, sketch)
    note_rest(registry, rewrites, sketch)


def sketch_rewrite(
    registry: str,
    hosts: list[str],
    original: Original,
    rewrite: tuple[str, str],
    line: int,
    sketch: Sketch,
) -> None:
    """Sketch one pattern of a registry.

    Args:
        registry: The registry.
        hosts: Its mirrors.
        original: When the registry itself is asked.
        rewrite: The pattern and its replacement.
        line: Where it stands.
        sketch: Takes the rule.
    """
    pattern, replacement = rewrite
    group = GROUP.search(replacement)
    target = GROUP.sub("", replacement).strip("/")
    below = BELOW.fullmatch(pattern)
    targets = [f"{host}/{target}" if target else host for host in hosts]
    if group and ALL.fullmatch(pattern):
        sketch.mirror(line, registry, targets, original)
    elif group and below:
        path = below[1].replace("\\", "")
        sketch.mirror(line, f"{registry}/{path}", targets, original)
    elif "$" not in GROUP.sub("", replacement):
        regex = f"{re.escape(registry)}/{pattern.removeprefix('^').removesuffix('$')}"
        filled = GROUP.sub(r"\\1", replacement)
        sketch.regex(line, regex, [f"{host}/{filled}" for host in hosts], original)
    else:
        problem = f"{pattern} → {replacement} uses more than one group: left out"
        sketch.remark(line, problem)


def note_rest(registry: str, rewrites: Table, sketch: Sketch) -> None:
    """Note that what no pattern matches is asked at the mirrors under its own name."""
    if rewrites and not any(ALL.fullmatch(pattern) for pattern in rewrites):
        sketch.remark(
            rewrites.line,
            f"k3s asks the mirrors of {registry} for other names as they are; here they "
            "stay, unless a rule says otherwise",
        )
