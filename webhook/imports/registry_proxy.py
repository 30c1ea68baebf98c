"""The ConfigMap of registry-proxy (`readme`_).

.. _readme: https://github.com/ketches/registry-proxy
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.imports.tree import Text, documents, entries, line_of, table

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch
    from webhook.imports.tree import Tree

__all__ = ["from_registry_proxy"]

KEY: Final = "config.yaml"
NAMESPACES: Final = ("excludeNamespaces", "includeNamespaces")


def from_registry_proxy(text: str, sketch: Sketch) -> None:
    """Sketch the rules of a ConfigMap, or of the file that it holds."""
    for document in documents(text):
        content = table(table(document).get("data")).get(KEY)
        if not isinstance(content, Text):
            sketch_config(document, sketch, 0)
            continue
        # A block scalar begins in the line after its key.
        for inner in documents(content):
            sketch_config(inner, sketch, content.line)
    if not sketch.rules:
        sketch.remark(0, "it names no proxies: no rule comes of it")


def sketch_config(config: Tree, sketch: Sketch, above: int) -> None:
    """Sketch one configuration.

    Args:
        config: The configuration.
        sketch: Takes its rules.
        above: How many lines of the file stand above it.
    """
    known = table(config)
    proxies = table(known.get("proxies"))
    for registry, target in proxies.items():
        line = above + proxies.lines[registry]
        if target:
            sketch.mirror(line, registry, [str(target).removeprefix("https://").rstrip("/")])
        else:
            sketch.remark(line, f"{registry} has no proxy: left out")
    for registry in entries(known.get("includeRegistries")):
        if registry not in proxies:
            sketch.remark(
                above + line_of(registry),
                f"the proxy of {registry} is built into registry-proxy, and closed by now: "
                "name a mirror yourself",
            )
    for key in NAMESPACES:
        if known.get(key):
            sketch.remark(
                above + known.lines[key],
                f"{key} belongs to the webhook's selection of namespaces: left out",
            )
