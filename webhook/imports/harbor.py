"""Rules of harbor-container-webhook (`usage`_): the registry of what matches is replaced.

.. _usage: https://github.com/indeedeng/harbor-container-webhook
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from webhook.imports.patterns import EVERY_NAME, is_everything, prefix_of
from webhook.imports.tree import documents, entries, line_of, table

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch
    from webhook.imports.tree import Table

__all__ = ["from_harbor_container_webhook"]


def from_harbor_container_webhook(text: str, sketch: Sketch) -> None:
    """Sketch the rules of a configuration, also as values of the Helm chart."""
    found = False
    for document in documents(text):
        for rule in entries(table(document).get("rules")):
            found = True
            sketch_rule(table(rule), sketch)
    if not found:
        sketch.remark(0, "there is no key rules at the top level of the file")


def sketch_rule(rule: Table, sketch: Sketch) -> None:
    """Sketch one rule."""
    replace = rule.get("replace")
    if not isinstance(replace, str):
        sketch.remark(rule.line, "the rule has no replace: left out")
        return
    for pattern in entries(rule.get("matches")):
        prefix = prefix_of(pattern)
        if prefix is not None:
            path = prefix.partition("/")[2]
            sketch.mirror(pattern.line, prefix, [f"{replace}/{path}" if path else replace])
        elif is_everything(pattern):
            sketch.regex(pattern.line, EVERY_NAME, [f"{replace}/\\1"])
        else:
            sketch.remark(pattern.line, f"{pattern} is more than a prefix, and sees tags: left out")
    for pattern in entries(rule.get("excludes")):
        prefix = prefix_of(pattern)
        if prefix is not None:
            sketch.keep(pattern.line, prefix)
        else:
            sketch.remark(
                pattern.line,
                f"{pattern} is more than a prefix, and sees tags: it is not excluded",
            )
    for key in ("checkUpstream", "authSecretName", "platforms", "namespaces"):
        value = rule.get(key)
        if value and value != "false":
            line = line_of(value, rule.line)
            sketch.remark(line, f"{key} has no equivalent in a rule: left out")
