"""Map files of imageswap (`configuration`_): ``registry::target``, one a line.

``nginx`` becomes ``target/nginx`` there, without ``library/``; a rule of its own for
docker.io/library sees to that.

.. _configuration: https://github.com/phenixblue/imageswap-webhook/blob/master/docs/configuration.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core.reference import DOCKER_HUB
from webhook.imports.patterns import EVERY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.imports.sketch import Sketch

__all__ = ["from_imageswap"]

DEFAULT: Final = "default"
WILDCARDS: Final = "noswap_wildcards"
LIBRARY: Final = f"{DOCKER_HUB}/library"


class Entry(NamedTuple):
    """A line of a map file."""

    line: int
    key: str
    target: str


def from_imageswap(text: str, sketch: Sketch) -> None:
    """Sketch the rules of a map file."""
    found = [entry for entry in lines_of(text, sketch) if is_sayable(entry, sketch)]
    default = next((entry for entry in found if entry.key == DEFAULT), None)
    others = [entry for entry in found if entry.key != DEFAULT]
    if default is None:
        sketch.remark(0, "there is no default, without which imageswap swaps nothing")
    if default is None or not default.target:
        sketch_matches(others, sketch)
    else:
        sketch_regexes(others, default, sketch)


def sketch_matches(found: list[Entry], sketch: Sketch) -> None:
    """Sketch the lines of a file that swaps only what they name."""
    keys = {entry.key for entry in found}
    for entry in found:
        if not entry.target:
            sketch.keep(entry.line, entry.key)
            continue
        sketch.mirror(entry.line, entry.key, [entry.target])
        if entry.key == DOCKER_HUB and LIBRARY not in keys:
            sketch.mirror(entry.line, LIBRARY, [entry.target])


def sketch_regexes(found: list[Entry], default: Entry, sketch: Sketch) -> None:
    """Sketch the lines of a file with a default, which takes what they leave.

    It is a regular expression, and so are they; the first that matches wins, so it is
    the last. What has been swapped is not swapped again.
    """
    for entry in sorted(found, key=lambda entry: -len(entry.key)):
        below = f"{re.escape(entry.key)}/"
        if not entry.target:
            sketch.keep_regex(entry.line, f"{below}.+")
            continue
        library = "(?:library/)?" if entry.key == DOCKER_HUB else ""
        sketch.regex(entry.line, f"{below}{library}(.+)", [f"{entry.target}/\\1"])
    for entry in found:
        if entry.target:
            sketch.keep_regex(entry.line, f"{re.escape(entry.target)}/.+")
    regex = f"docker\\.io/library/(.+)|{EVERY_NAME}"
    sketch.regex(default.line, regex, [f"{default.target}/\\1\\2"])


def lines_of(text: str, sketch: Sketch) -> Iterator[Entry]:
    """Yield the entries of a map file, with the old single colon as well."""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        key, found, target = line.partition("::")
        if not found:
            key, found, target = line.partition(":")
        if not found:
            sketch.remark(number, f"{line!r} is no registry::target: left out")
            continue
        yield Entry(number, key.strip(), target.strip())


def is_sayable(entry: Entry, sketch: Sketch) -> bool:
    """Say whether a line has an equivalent; if not, that is noted."""
    if entry.key.startswith("["):
        kind = entry.key[1:].partition("]")[0]
        sketch.remark(entry.line, f"{kind} sees tags and patterns, and rules do not: left out")
    elif entry.key == WILDCARDS:
        if entry.target:
            sketch.remark(
                entry.line,
                f"{WILDCARDS} matches anywhere in a name; write keep: true for the "
                f"registries that are meant by {entry.target}",
            )
    elif entry.target.endswith("-"):
        sketch.remark(
            entry.line,
            f"{entry.target} is put before the name without a slash: left out",
        )
    else:
        return True
    return False
