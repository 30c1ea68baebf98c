"""registries.conf, version 2, of CRI-O, podman, buildah and skopeo (`format`_).

.. _format: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from webhook.core import Original
from webhook.imports.sketch import UnreadableFileError
from webhook.imports.toml import headers, parsed

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch

__all__ = ["from_registries_conf"]

VERSION_1: Final = "registries"
OTHERS: Final = ("unqualified-search-registries", "short-name-mode", "aliases")


def from_registries_conf(text: str, sketch: Sketch) -> None:
    """Sketch the rules of a registries.conf or of a drop-in of it.

    Raises:
        UnreadableFileError: It is no TOML, or version 1 of the format.
    """
    content = parsed(text)
    if VERSION_1 in content:
        raise UnreadableFileError(
            "[registries.…] is version 1 of registries.conf, which its own readers refuse "
            "by now: write it as [[registry]]"
        )
    lines = headers(text, "[[registry]]")
    for number, registry in enumerate(content.get("registry", [])):
        sketch_registry(registry, lines[number] if number < len(lines) else 0, sketch)
    for key in OTHERS:
        if key in content:
            line = next(iter(headers(text, key)), 0)
            sketch.remark(line, f"{key} is for short names, which are on docker.io here")
    if not content.get("registry"):
        sketch.remark(0, "there is no [[registry]] in the file: no rule comes of it")


def sketch_registry(registry: dict[str, Any], line: int, sketch: Sketch) -> None:
    """Sketch one registry: its location is asked after its mirrors."""
    location = str(registry.get("location", "")).rstrip("/")
    prefix = str(registry.get("prefix", "") or location).rstrip("/")
    if registry.get("blocked"):
        sketch.remark(line, f"{prefix} is blocked, and rules forbid nothing: left out")
        return
    mirrors = []
    for mirror in registry.get("mirror", []):
        note_limits(mirror, prefix, line, sketch)
        mirrors.append(str(mirror.get("location", "")).rstrip("/"))
    for key in ("insecure", "mirror-by-digest-only"):
        if registry.get(key):
            sketch.remark(line, f"{key} of {prefix} has no equivalent: left out")
    original = Original.LAST
    if location not in ("", prefix):
        mirrors.append(location)
        original = Original.FIRST if mirrors[0] == prefix else Original.NEVER
        mirrors = [mirror for mirror in mirrors if mirror != prefix]
    if mirrors:
        sketch.mirror(line, prefix, mirrors, original)
    else:
        sketch.keep(line, prefix)


def note_limits(mirror: dict[str, Any], prefix: str, line: int, sketch: Sketch) -> None:
    """Note what a mirror is limited to, and rules have no words for."""
    name = f"the mirror {mirror.get('location')} of {prefix}"
    if mirror.get("pull-from-mirror", "all") != "all":
        limit = mirror["pull-from-mirror"]
        sketch.remark(line, f"{name} is for {limit}; here it is for every image")
    if mirror.get("insecure"):
        sketch.remark(line, f"{name} is insecure, which no image name can say: left out")
