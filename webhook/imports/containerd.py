"""hosts.toml of containerd (`hosts`_): mirrors of one registry, which the folder names.

.. _hosts: https://github.com/containerd/containerd/blob/main/docs/hosts.md
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from webhook.core import Original
from webhook.imports.toml import headers, parsed
from webhook.imports.urls import HUB_HOSTS, target_of

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch

__all__ = ["from_hosts_toml"]

FILE: Final = "hosts.toml"
# containerd writes host_5000_ where a folder cannot have a colon.
PORT: Final = re.compile(r"(.+)_(\d+)_")
DEFAULT: Final = "_default"
UNSAYABLE: Final = ("ca", "client", "skip_verify", "header", "rewrite")


def from_hosts_toml(text: str, sketch: Sketch) -> None:
    """Sketch the rule of one hosts.toml.

    Raises:
        UnreadableFileError: It is no TOML.
    """
    content = parsed(text)
    registry = registry_of(sketch.origin)
    if "plugins" in content or "registry" in content:
        sketch.remark(0, "this is a config.toml: import the folder that config_path names")
        return
    if registry == DEFAULT:
        sketch.remark(0, "_default mirrors every registry under its own path, which no rule says")
        return
    if not registry:
        sketch.remark(0, f"the registry is the name of the folder: give HOST/{FILE}")
        return
    mirrors = []
    for url, host in content.get("host", {}).items():
        line = next(iter(headers(text, f'[host."{url}"]')), 0)
        mirror = mirror_of(url, host, line, sketch)
        if mirror:
            mirrors.append(mirror)
    original = Original.LAST
    server = str(content.get("server", ""))
    last = target_of(server, overrides=bool(content.get("override_path"))) or ""
    if last not in ("", registry):
        mirrors.append(last)
        original = Original.FIRST if mirrors[0] == registry else Original.NEVER
        mirrors = [mirror for mirror in mirrors if mirror != registry]
    if mirrors:
        sketch.mirror(1, registry, mirrors, original)
    else:
        sketch.remark(0, "it names no mirror that a rule can: no rule comes of it")


def registry_of(origin: str) -> str:
    """Return the registry that the path of a hosts.toml names; empty if it names none."""
    parent = PurePath(origin).parent.name
    port = PORT.fullmatch(parent)
    registry = f"{port[1]}:{port[2]}" if port else parent
    return "docker.io" if registry in HUB_HOSTS else registry


def mirror_of(url: str, host: dict[str, Any], line: int, sketch: Sketch) -> str:
    """Return the target of one host; empty, and noted, if it has none."""
    capabilities = [str(each) for each in host.get("capabilities", ["pull", "resolve"])]
    target = target_of(url, overrides=bool(host.get("override_path")))
    for key in UNSAYABLE:
        if host.get(key):
            sketch.remark(line, f"{key} of {url} has no equivalent: left out")
    if "pull" not in capabilities:
        sketch.remark(line, f"{url} is not for pulling: left out")
    elif "resolve" not in capabilities:
        sketch.remark(line, f"{url} is not asked for tags, only for digests: left out")
    elif target is None:
        sketch.remark(
            line,
            f"{url} has no place in an image's name, by its scheme or its path: left out",
        )
    else:
        return target
    return ""
