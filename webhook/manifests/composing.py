"""YAML documents as the nodes of the YAML library, where these tell all that matters.

They cost less than its events do, but they take stack for each level, and do not tell
an alias from what it stands for.
"""

from __future__ import annotations

import operator
import re
from typing import Final

import yaml
from yaml._yaml import CParser

__all__ = ["UnusualError", "composed"]

MERGE: Final = "<<"
# An anchor or an alias, and some texts that only look like one.
ANCHOR: Final = re.compile(r"[&*](?<![0-9A-Za-z][&*])[0-9A-Za-z_-]")
# A level takes a character at least: shorter texts have none that are too deep.
SHALLOW: Final = 4096
MAX_BRACKETS: Final = 1024
# So many collections that begin in one line; others take a deeper indent for each.
COMPACT: Final = re.compile(r"(?:[-?:][ \t]+){64}|[ \t]{1024}")


class UnusualError(ValueError):
    """What is written in a way that only the events of the YAML library tell in full."""


class Composer(CParser):
    """Composes nodes without tags, save those that are written.

    The library calls these for each node. What it does not use the answer of is built in,
    takes the same arguments and does nothing: that costs less than a function of ours.
    """

    descend_resolver = operator.is_
    ascend_resolver = "".isascii

    def resolve(self, _kind: object, _value: object, _implicit: object) -> str:
        """Return no tag."""
        return ""


def composed(text: str) -> list[yaml.Node]:
    """Return the root of each YAML document that has content.

    Raises:
        UnusualError: It takes the events to read it, or to say what is wrong with it.
    """
    if MERGE in text or (len(text) > SHALLOW and may_be_deep(text)):
        raise UnusualError
    # An alias without an anchor is a mistake, which the events tell of.
    if "&" in text and "*" in text and ANCHOR.search(text):
        raise UnusualError
    composer = Composer(text)
    roots: list[yaml.Node] = []
    try:
        while composer.check_node() and (root := composer.get_node()):
            roots.append(root)
    except yaml.YAMLError:
        raise UnusualError from None
    return roots


def may_be_deep(text: str) -> bool:
    """Say whether composing could take more stack than there is; in doubt, that it could."""
    brackets = text.count("[") + text.count("{")
    return brackets > MAX_BRACKETS or COMPACT.search(text) is not None
