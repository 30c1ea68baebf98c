"""``RegistryRewriteRule`` of mutating-registry-webhook (`readme`_).

.. _readme: https://github.com/flemzord/mutating-registry-webhook
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from webhook.imports.patterns import is_everything, prefix_of
from webhook.imports.tree import documents, entries, line_of, table

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch
    from webhook.imports.tree import Table

__all__ = ["from_mutating_registry_webhook"]

KIND: Final = "RegistryRewriteRule"
GROUP: Final = re.compile(r"\$\{?(\d)\}?")
WHOLE_REST: Final = re.compile(r"\(\.[*+]\)\$?$")
SHORT: Final = ("^([^/]+/[^/]+)$", "^([^/]+)$")


def from_mutating_registry_webhook(text: str, sketch: Sketch) -> None:
    """Sketch the rules of its custom resources."""
    found = False
    for document in documents(text):
        if table(document).get("kind") != KIND:
            continue
        found = True
        for rule in entries(table(table(document).get("spec")).get("rules")):
            sketch_rule(table(rule), sketch)
    if not found:
        sketch.remark(0, f"there is no {KIND} in the file")


def sketch_rule(rule: Table, sketch: Sketch) -> None:
    """Sketch one rule."""
    match, replace = rule.get("match"), rule.get("replace")
    if not isinstance(match, str) or not isinstance(replace, str):
        sketch.remark(rule.line, "the rule has no match and replace: left out")
        return
    line = line_of(rule["match"], rule.line)
    if rule.get("conditions"):
        sketch.remark(
            line_of(rule["conditions"], line),
            "conditions on namespaces and labels belong to the webhook's selectors or to a "
            "policy of its own: the rule is left out",
        )
        return
    if match in SHORT:
        sketch.remark(line, "names without a registry are on docker.io here: left out")
        return
    prefix = prefix_of(match)
    rest = WHOLE_REST.search(match)
    target = replace.removesuffix("$1").removesuffix("${1}")
    if prefix and rest and target != replace and target.endswith("/") and "$" not in target:
        sketch.mirror(line, prefix, [target.rstrip("/")])
    elif is_everything(match) and replace.endswith("/$1"):
        sketch.mirror(line, "*", [replace.removesuffix("/$1")])
    elif rest and match.startswith("^") and "$" not in GROUP.sub("", replace):
        # The last group takes tag and digest along, as it does here by itself.
        sketch.regex(line, match[1:].removesuffix("$"), [GROUP.sub(r"\\\1", replace)])
    else:
        sketch.remark(line, f"{match} → {replace} has no equivalent: left out")
