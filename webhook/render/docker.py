"""Docker: ``registry-mirrors`` of ``daemon.json`` (`dockerd`_), for Docker Hub only.

.. _dockerd: https://docs.docker.com/reference/cli/dockerd/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB
from webhook.render.output import (
    RenderedFile,
    RenderResult,
    WarningCode,
    collect_rule_warnings,
)
from webhook.render.prefix_table import make_prefix_table
from webhook.render.registries import make_base_url, split_by_path, warn_of_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.core import Rule

__all__ = ["render_docker"]

PATH: Final = "daemon.json"
HUB_ONLY: Final = "Docker mirrors Docker Hub only, so these rules are left out"
MIRROR_PATH: Final = "Docker does not support mirrors with a path, so these mirrors are left out"
FLATTEN: Final = "Docker cannot flatten names, so these mirrors are left out"
ORIGINAL: Final = "Docker always asks the mirrors first and Docker Hub last"


def render_docker(rules: Sequence[Rule]) -> RenderResult:
    """Return the rules as the part of Docker's daemon.json that mirrors Docker Hub.

    Raises:
        InvalidRuleError: The rules make too many prefixes together.
    """
    warnings = collect_rule_warnings(rules)
    whole, parts = split_by_path(make_prefix_table(rules), HUB_ONLY, warnings)
    mirrors: list[str] = []
    for entry in whole:
        if entry.registry != DOCKER_HUB:
            warnings.add(WarningCode.OTHER_REGISTRY, HUB_ONLY, entry.prefix)
            continue
        mirrors = [
            make_base_url(target.registry)
            for target in entry.targets
            if not target.path and not target.flatten
        ]
        for target in entry.targets:
            name = f"{entry.prefix} → {target.name}"
            if target.flatten:
                warnings.add(WarningCode.FLATTEN, FLATTEN, name, misleads=bool(mirrors))
            elif target.path:
                warnings.add(WarningCode.MIRROR_PATH, MIRROR_PATH, name, misleads=bool(mirrors))
        if mirrors and entry.original is not Original.LAST:
            warnings.add(WarningCode.ORIGINAL, ORIGINAL, entry.prefix, misleads=True)
    warn_of_paths(parts, {DOCKER_HUB} if mirrors else (), "Docker", warnings)
    if not mirrors:
        return RenderResult((), warnings.collect())
    text = json.dumps({"registry-mirrors": mirrors}, indent=2) + "\n"
    return RenderResult((RenderedFile(PATH, text),), warnings.collect())
