"""From the bytes of a rules file to a tree of YAML nodes that is safe to walk.

What comes out is bounded: the file in its size, the tree in its depth, and in its
size with every alias written out. No value has been made of anything yet, so
that ``off`` and ``012`` are still the texts that somebody wrote.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

import yaml

from webhook.config.problems import ConfigurationError, Problem, Spot
from webhook.config.syntax import explained

__all__ = ["MAX_BYTES", "compose"]

# A ConfigMap holds no more than this either.
MAX_BYTES: Final = 1024 * 1024
# libyaml's parser refuses more than 1,000 levels, so that composing cannot recurse
# too deep. What is made of them here is bounded more tightly.
MAX_DEPTH: Final = 32
# With aliases written out; without any, a file of that size has fewer.
MAX_NODES: Final = 1_000_000

# Characters that YAML 1.1 does not allow (section 5.1).
UNPRINTABLE: Final = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

EMPTY: Final = (
    "the file is empty: write rules: with a list of rules, or profiles: with a list "
    "of names (`mirrorhook profiles` lists them)"
)


def compose(content: bytes, origin: str) -> yaml.MappingNode:
    """Return the YAML tree of a rules file: one document, which is a mapping.

    Args:
        content: The file.
        origin: Its name, for messages.

    Raises:
        ConfigurationError: It is too big, no text, no YAML, or no mapping.
    """
    if len(content) > MAX_BYTES:
        problem = f"the file is larger than {MAX_BYTES} bytes"
        raise ConfigurationError([Spot(origin).problem(problem)])
    text = decoded(content, origin)
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError([explained(error, text, origin)]) from None
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value):
        raise ConfigurationError([Spot(origin).problem(EMPTY)])
    if isinstance(root, yaml.MappingNode):
        danger = unsafe(root, origin)
        if danger is not None:
            raise ConfigurationError([danger])
        return root
    spot = Spot(origin, root.start_mark.line + 1, root.start_mark.column + 1)
    if isinstance(root, yaml.SequenceNode):
        message = "the file is a list: write it under a key, such as rules:"
    else:
        message = "the file is a single value: write keys, such as rules: and profiles:"
    raise ConfigurationError([spot.problem(message)])


def decoded(content: bytes, origin: str) -> str:
    """Return the text of a file in UTF-8, without a byte order mark."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problem = "the file is in UTF-16: save it as UTF-8"
        raise ConfigurationError([Spot(origin).problem(problem)])
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        problem = f"byte {content[error.start]:#04x} is not UTF-8: save the file as UTF-8"
        raise ConfigurationError([after(before, origin).problem(problem)]) from None
    odd = UNPRINTABLE.search(text)
    if odd:
        problem = f"the control character {odd[0]!r} cannot stand in YAML: remove it"
        raise ConfigurationError([after(text[: odd.start()], origin).problem(problem)])
    return text


def after(text: str, origin: str) -> Spot:
    """Return the place right behind *text*, the beginning of a file."""
    return Spot(origin, text.count("\n") + 1, len(text) - text.rfind("\n"))


def too_deep(origin: str) -> Problem:
    """Return the problem of a file with too many levels."""
    return Spot(origin).problem(
        f"the file is nested deeper than {MAX_DEPTH} levels, and rules never are"
    )


def unsafe(root: yaml.Node, origin: str) -> Problem | None:
    """Say why a tree cannot be walked; None if it can.

    Aliases make a tree a graph: it may hold itself, or be small and yet endless
    when written out. Each collection is looked at once, after what it holds.
    """
    sizes: dict[int, tuple[int, int]] = {}  # nodes and levels, by identity
    unfinished: set[int] = set()
    ahead: list[tuple[yaml.Node, bool]] = [(root, False)]
    while ahead:
        node, done = ahead.pop()
        key = id(node)
        spot = Spot(origin, node.start_mark.line + 1, node.start_mark.column + 1)
        if done:
            unfinished.remove(key)
            below = [sizes.get(id(child), (1, 1)) for child in children(node)]
            nodes = 1 + sum(size for size, _ in below)
            levels = 1 + max((depth for _, depth in below), default=0)
            if levels > MAX_DEPTH:
                return too_deep(origin)
            if nodes > MAX_NODES:
                return spot.problem("with its aliases written out, this is too large")
            sizes[key] = nodes, levels
        elif key in unfinished:
            return spot.problem("an alias stands inside of what it names: remove it")
        elif key not in sizes:
            unfinished.add(key)
            ahead.append((node, True))
            ahead += [
                (child, False) for child in children(node) if not isinstance(child, yaml.ScalarNode)
            ]
    return None


def children(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes that a collection holds."""
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value)
