"""Docker: ``registry-mirrors`` of ``daemon.json`` (`dockerd`_), for Docker Hub only.

.. _dockerd: https://docs.docker.com/reference/cli/dockerd/
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB
from webhook.render.output import Code, File, Rendered, unsayable
from webhook.render.prefix_table import entries_of
from webhook.render.registries import base_url, note_paths, whole_registries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.core import Rule
    from webhook.render.prefix_table import Place

__all__ = ["render_docker"]

PATH: Final = "daemon.json"
HUB_ONLY: Final = "Docker mirrors Docker Hub only, so these rules are left out"
MIRROR_PATH: Final = "Docker takes mirrors without a path only, so these are left out"
FLATTEN: Final = "Docker cannot flatten a name, so these mirrors are left out"
ORIGINAL: Final = "Docker always asks the mirrors first and Docker Hub last"


def render_docker(rules: Sequence[Rule]) -> Rendered:
    """Return the rules as the part of Docker's daemon.json that mirrors Docker Hub.

    Args:
        rules: The rules, as a map of mirrors holds them.

    Raises:
        InvalidRuleError: As `entries_of`.
    """
    deviations = unsayable(rules)
    whole, parts = whole_registries(entries_of(rules), HUB_ONLY, deviations)
    mirrors: list[str] = []
    for entry in whole:
        if entry.registry != DOCKER_HUB:
            deviations.note(Code.OTHER_REGISTRY, HUB_ONLY, entry.prefix)
            continue
        usable = [place for place in entry.places if is_usable(place)]
        for place in entry.places:
            if not is_usable(place):
                code, why = (
                    (Code.FLATTEN, FLATTEN) if place.flatten else (Code.MIRROR_PATH, MIRROR_PATH)
                )
                name = f"{entry.prefix} → {place.target}"
                deviations.note(code, why, name, misleads=bool(usable))
        if usable and entry.original is not Original.LAST:
            deviations.note(Code.ORIGINAL, ORIGINAL, entry.prefix, misleads=True)
        mirrors = [base_url(place.registry) for place in usable]
    note_paths(parts, {DOCKER_HUB} if mirrors else (), "Docker", deviations)
    if not mirrors:
        return Rendered((), deviations())
    text = json.dumps({"registry-mirrors": mirrors}, indent=2) + "\n"
    return Rendered((File(PATH, text),), deviations())


def is_usable(place: Place) -> bool:
    """Say whether a place is a registry as a whole."""
    return not place.path and not place.flatten
