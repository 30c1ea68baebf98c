"""``registry-mirrors`` of Docker's daemon.json (`dockerd`_): mirrors of Docker Hub.

.. _dockerd: https://docs.docker.com/reference/cli/dockerd/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core.reference import DOCKER_HUB
from webhook.imports.tree import documents, entries, line_of, table
from webhook.imports.urls import target_of

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch

__all__ = ["from_daemon_json"]

KEY: Final = "registry-mirrors"


def from_daemon_json(text: str, sketch: Sketch) -> None:
    """Sketch the rule of a daemon.json."""
    mirrors = []
    line = 0
    for document in documents(text):
        listed = table(document).get(KEY)
        line = line_of(listed, line)
        for url in entries(listed):
            target = target_of(str(url), overrides=False)
            if target:
                mirrors.append(target)
            else:
                problem = f"{url} has no place in an image's name: left out"
                sketch.remark(line_of(url, line), problem)
    if mirrors:
        sketch.mirror(line, DOCKER_HUB, list(dict.fromkeys(mirrors)))
    else:
        sketch.remark(line, f"{KEY} is empty or missing: no rule comes of it")
