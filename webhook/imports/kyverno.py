"""Kyverno's sample policy that replaces the registry of images (`sample`_).

.. _sample: https://github.com/kyverno/policies/tree/main/other/replace-image-registry
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.imports.patterns import EVERY_NAME, prefix_of
from webhook.imports.tree import Listing, Table, Text, documents, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.imports.sketch import Sketch
    from webhook.imports.tree import Tree

__all__ = ["from_kyverno"]

CALL: Final = re.compile(
    r"regex_replace_all(?:_literal)?\(\s*'([^']*)'\s*,\s*[^,]+,\s*'([^']*)'\s*\)"
)
# The sample's pattern for an image with or without a registry, in its spellings.
ANY_REGISTRY: Final = re.compile(r"\^\(.*localhost.*\)\?\(\.\*\)\$|\^\(?\[\^/\]\+/\)?\(\.\*\)\$")
REPLACED: Final = re.compile(r"(.+?)/\$\{?[12]\}?")


def from_kyverno(text: str, sketch: Sketch) -> None:
    """Sketch the rules of a policy: the same call for each list of containers is one rule."""
    seen: set[tuple[str, str]] = set()
    for document in documents(text):
        for value in texts(table(document).get("spec")):
            for pattern, target in CALL.findall(value):
                if (pattern, target) not in seen:
                    seen.add((pattern, target))
                    sketch_call(value.line, pattern.replace("\\\\", "\\"), target, sketch)
    if not seen:
        sketch.remark(0, "there is no regex_replace_all in the file: nothing is imported")


def sketch_call(line: int, pattern: str, target: str, sketch: Sketch) -> None:
    """Sketch one call."""
    replaced = REPLACED.fullmatch(target)
    prefix = prefix_of(pattern)
    if replaced and ANY_REGISTRY.fullmatch(pattern):
        sketch.regex(line, EVERY_NAME, [f"{replaced[1]}/\\1"])
        sketch.remark(
            line,
            f"nginx is {replaced[1]}/library/nginx here, and {replaced[1]}/nginx there",
        )
    elif replaced and prefix:
        sketch.mirror(line, prefix, [replaced[1]])
    elif prefix and "$" not in target:
        sketch.mirror(line, prefix, [target.rstrip("/")])
    else:
        sketch.remark(line, f"{pattern} → {target} has no equivalent: left out")


def texts(value: Tree) -> Iterator[Text]:
    """Yield every text in a tree."""
    if isinstance(value, Text):
        yield value
    elif isinstance(value, Listing):
        for entry in value:
            yield from texts(entry)
    elif isinstance(value, Table):
        for entry in value.values():
            yield from texts(entry)
