"""Rules from the map file of imageswap (`source`_).

What it does differs from its documentation in places; this module follows its code.

.. _source: https://github.com/phenixblue/imageswap-webhook/blob/master/app/imageswap/imageswap.py
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from webhook.core import Mirror, Original
from webhook.core.reference import DOCKER_HUB
from webhook.imports.lines import EmbeddedFile, iter_objects, unwrap_config_maps
from webhook.imports.patterns import EVERY_NAME, escape, qualify
from webhook.imports.rule_set import ForeignFileError, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.imports.rule_set import RuleSet

__all__ = ["import_imageswap"]

DEFAULT: Final = "default"
WILDCARDS: Final = "noswap_wildcards"
KEYWORDS: Final = ("[EXACT]", "[REPLACE]")
LIBRARY: Final = f"{DOCKER_HUB}/library"


class Line(NamedTuple):
    """A line of a map file."""

    number: int
    key: str
    target: str

    @property
    def is_prefix(self) -> bool:
        """Whether the target is put before the whole image, without a slash."""
        return self.target.endswith("-")


def import_imageswap(text: str, rule_set: RuleSet) -> None:
    """Import a map file of imageswap, or the ConfigMap that holds it.

    There ``nginx`` becomes ``target/nginx``, without ``library/``; a rule for docker.io/library
    does the same.

    Raises:
        UnreadableFileError: It has no line for a registry.
    """
    maps, has_keywords = _read_maps(text, rule_set)
    default, wildcards = maps.pop(DEFAULT, None), maps.pop(WILDCARDS, None)
    lines = {key: line for key, line in maps.items() if _is_registry(key)}
    if not (has_keywords or lines or default):
        raise ForeignFileError("line registry::target of imageswap")
    for key, line in maps.items():
        if key not in lines:
            problem = f"left out: imageswap looks up registries only, so {key} matches no image"
            rule_set.warn(line.number, problem)
    if default is None:
        rule_set.warn(
            0,
            "nothing imported: the file has no default, without which imageswap swaps no "
            "registry; add a line default::",
        )
        return
    _add_registries(lines, rule_set)
    if not default.target:
        return
    for key, line in lines.items():
        if ":" not in key and key not in (DOCKER_HUB, LIBRARY):
            _add_ports(line, rule_set)
    if _add_wildcards(wildcards, rule_set):
        _add_default(default, lines, rule_set)


def _read_maps(text: str, rule_set: RuleSet) -> tuple[dict[str, Line], bool]:
    """Return the lines by their keys, and whether others have a keyword."""
    maps: dict[str, Line] = {}
    has_keywords = False
    for file in _find_files(text):
        for line in _parse_lines(file, rule_set):
            if line.key.startswith(KEYWORDS):
                has_keywords = True
                kind = line.key[1:].partition("]")[0]
                problem = f"left out: {kind} matches tags or patterns, which rules cannot do"
                rule_set.warn(line.number, problem)
                continue
            if line.key in maps:
                problem = f"left out: line {line.number} has {line.key} again, and the last counts"
                rule_set.warn(maps[line.key].number, problem)
            maps[line.key] = line
    return maps, has_keywords


def _find_files(text: str) -> list[EmbeddedFile]:
    try:
        objects = list(iter_objects(text))
    except UnreadableFileError:
        return [EmbeddedFile(text)]  # a map file is rarely YAML
    if any("kind" in each for each in objects):
        files = [file for file in unwrap_config_maps(text) if file.line]
        return [file for file in files if "maps" in file.key] or files
    return [EmbeddedFile(text)]


def _parse_lines(file: EmbeddedFile, rule_set: RuleSet) -> Iterator[Line]:
    """Yield the lines that imageswap does not skip. Old files have a single colon."""
    for number, raw in enumerate(file.text.splitlines(), 1):
        if raw.startswith("#"):
            continue
        line = _cut_comment(raw).rstrip().replace(" ", "")
        if not line:
            continue
        parts = line.split("::")
        if len(parts) != 2:  # noqa: PLR2004 - key and target
            parts = line.split(":")
        if len(parts) != 2:  # noqa: PLR2004
            problem = f"left out: imageswap skips {line!r}, which is not registry::target"
            rule_set.warn(file.find_line(number), problem)
            continue
        yield Line(file.find_line(number), parts[0], parts[1])


def _cut_comment(line: str) -> str:
    """Return the line up to the last ``#`` that follows another character."""
    for position in range(len(line) - 1, 0, -1):
        if line[position] == "#" and line[position - 1] != "#":
            return line[:position]
    return line


def _is_registry(key: str) -> bool:
    """Return whether imageswap can look up *key*: its registries have a dot."""
    return key == LIBRARY or ("." in key and "/" not in key)


def _add_registries(lines: dict[str, Line], rule_set: RuleSet) -> None:
    for key, line in lines.items():
        if not line.target:
            rule_set.add_keep(line.number, key)
            continue
        target = _find_target(line)
        rule_set.add_mirrors(line.number, key, [target], Original.NEVER)
        if key == DOCKER_HUB and LIBRARY not in lines:
            rule_set.add_mirrors(line.number, LIBRARY, [target], Original.NEVER)


def _find_target(line: Line) -> Mirror | str:
    """Return what takes the place of the registry of a line."""
    if not line.is_prefix:
        return qualify(line.target)
    registry, _, port = line.key.removesuffix("/library").partition(":")
    # With a port, everything from the colon to the last slash is lost there.
    return Mirror(line.target + registry, flatten=True) if port else line.target + registry


def _add_wildcards(line: Line | None, rule_set: RuleSet) -> bool:
    """Keep images with a wildcard in their name from the default; return whether others remain."""
    if line is None or not line.target:
        return True
    parts = line.target.split(",")
    if "" in parts:
        rule_set.warn(
            line.number,
            f"the default is left out: {WILDCARDS} has an empty part, which is in every name",
        )
        return False
    for part in parts:
        rule_set.add_exception(line.number, f".*{escape(part)}.*")
        if part in f"{LIBRARY}/":
            rule_set.warn(
                line.number,
                f"{part} is here in the name of every image on {DOCKER_HUB}, even if it is written "
                "without the registry",
            )
    return True


def _add_default(default: Line, lines: dict[str, Line], rule_set: RuleSet) -> None:
    """Add the default for registries without a line; what was swapped is not swapped again."""
    number, target = default.number, default.target
    if LIBRARY in lines and DOCKER_HUB not in lines:
        rule_set.add_keep(lines[LIBRARY].number, DOCKER_HUB)  # imageswap fails for these
    if default.is_prefix:
        # There the registry is prepended even to an image that already has it.
        hub = f"{target}{DOCKER_HUB}/\\1"
        regex = f"{escape(DOCKER_HUB)}/(?:library/)?(.+)"
        rule_set.add_exception(number, regex, [hub], Original.NEVER)
        template = f"{target}\\1/\\1/\\2"
        rule_set.add_default(number, [template], Original.NEVER, r"([^/:]+)/(.+)")
        return
    regex = f"{escape(LIBRARY)}/(.+)|{EVERY_NAME}"
    rule_set.add_default(number, [f"{qualify(target)}/\\1\\2"], Original.NEVER, regex)


def _add_ports(line: Line, rule_set: RuleSet) -> None:
    """Add what a line does to its registry with a port, which stays behind the target."""
    templates = []
    if line.target and not line.is_prefix and "/" not in line.target:
        templates = [f"{line.target}\\1/\\2"]
    regex = f"{escape(line.key)}(:[0-9]+)/(.+)"
    rule_set.add_exception(line.number, regex, templates, Original.NEVER)
