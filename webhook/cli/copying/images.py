"""The images that are to be copied: from manifests, and from the Pods of a cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import click

from webhook.cli.files import find_manifests
from webhook.cli.options import SetupError, open_cluster
from webhook.core import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from webhook.core import Decision

__all__ = ["from_cluster", "from_manifests"]

PODS: Final = "/api/v1/pods"


def from_manifests(
    files: tuple[Path, ...], decide: Callable[[str], Decision]
) -> tuple[list[Decision], bool]:
    """Return the decision on each image of some manifests, and whether all could be read.

    What cannot be read is told on standard error.

    Args:
        files: Files, folders, or ``-`` for standard input.
        decide: Decides on one image.
    """
    from webhook.manifests import rewrite_manifests  # noqa: PLC0415 - YAML is not for all

    found: list[Decision] = []
    is_whole = True
    for source in find_manifests(files):
        rewritten = rewrite_manifests(source.content, decide)
        found += [
            image.decision
            for image in rewritten.images
            if image.decision.outcome is not Outcome.LOCAL
        ]
        for problem in rewritten.problems:
            click.echo(f"Error: {source.name}:{problem.line}: {problem.text}", err=True)
            is_whole = False
    return found, is_whole


def from_cluster(kubeconfig: Path | None) -> list[str]:
    """Return the images of all Pods, as they were before the webhook rewrote them.

    Args:
        kubeconfig: File that says where the cluster is.

    Raises:
        click.ClickException: The Pods cannot be read.
    """
    from webhook.kube import ClusterError  # noqa: PLC0415 - for this option

    try:
        reader = open_cluster(kubeconfig)
        pods = reader.list(PODS)
    except ClusterError as error:
        raise SetupError(
            f"{error}; give --kubeconfig FILE of a cluster whose Pods you may list"
        ) from None
    return [image for pod in pods for image in images_of(pod)]


def images_of(pod: dict[str, Any]) -> Iterator[str]:
    """Yield the images of a Pod, save those that its node has under their own name."""
    from webhook.objects import find_images, read_pod  # noqa: PLC0415 - as above

    read = read_pod(pod)
    if read.spec is None:
        return
    originals = originals_of(pod)
    for field in find_images(read.spec):
        if field.pull_policy != "Never":
            yield originals.get(field.name, field.image)


def originals_of(pod: dict[str, Any]) -> dict[str, str]:
    """Return the images that the webhook has noted on a Pod, by container."""
    from webhook.objects import ORIGINAL_IMAGES  # noqa: PLC0415 - as above

    metadata = pod.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    text = annotations.get(ORIGINAL_IMAGES) if isinstance(annotations, dict) else None
    try:
        noted = json.loads(text or "{}")
    except (TypeError, ValueError):
        return {}
    if not isinstance(noted, dict):
        return {}
    return {name: image for name, image in noted.items() if isinstance(image, str)}
