"""Which images are in use, and by whom: read from a cluster or from manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from webhook.cli.files import find_manifests
from webhook.core import Outcome
from webhook.manifests import ManifestProblem, read_objects
from webhook.objects import (
    ORIGINAL_IMAGES,
    POD_SPEC_PATHS,
    find_images,
    has_same_ending,
    is_original,
    opt_out_reason,
    parse_originals,
    read_pod,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from webhook.core import Decision
    from webhook.kube.client import KubeClient

__all__ = [
    "COLLECTIONS",
    "ImageInUse",
    "ImageOwner",
    "confirm_original",
    "decide_originals",
    "read_cluster_images",
    "read_manifest_images",
]

POD: Final = "Pod"
# Path of the API group of each kind. Those that own others come last: they are named as the
# owners of what is read from these.
COLLECTIONS: Final = {
    "ReplicaSet": "/apis/apps/v1",
    "Job": "/apis/batch/v1",
    "Deployment": "/apis/apps/v1",
    "StatefulSet": "/apis/apps/v1",
    "DaemonSet": "/apis/apps/v1",
    "CronJob": "/apis/batch/v1",
    POD: "/api/v1",
}


class ImageOwner(NamedTuple):
    """The object in which one would change an image: a Deployment, not its ReplicaSet or Pod.

    Attributes:
        kind: Its kind. A Pod that nothing controls owns its images itself.
        namespace: Its namespace; empty in a manifest that leaves it to kubectl.
        name: Its name.
    """

    kind: str
    namespace: str
    name: str


class ImageInUse(NamedTuple):
    """An image in a field of a Pod, or of the template that Pods are created from.

    Attributes:
        image: The image.
        original: The image as it was before the webhook rewrote it, as an annotation says;
            the same if it does not. `confirm_original` says whether that is still so.
        container: Its container; ``volume:`` and the name for a volume.
        pull_policy: The pull policy, if it is given.
        owner: The object in which one would change it.
        pod: Name of the Pod; empty for a template.
        labels: Labels of the Pod, or of the template.
        opt_out: Why the webhook never rewrites the Pod; empty if it may.
        source: File that it was read from; empty for a cluster.
    """

    image: str
    original: str
    container: str
    pull_policy: str | None
    owner: ImageOwner
    pod: str
    labels: Mapping[str, str | None]
    opt_out: str
    source: str


def confirm_original(image: ImageInUse, decide: Callable[[str], Decision]) -> str:
    """Return the original of an image if the record still holds, and else the image itself.

    A record outlives its image if that is changed while the webhook is away. It holds for an
    image that earlier rules made, too, if no rule knows that image and it ends as its original.
    """
    if image.original == image.image or is_original(image.original, image.image, decide):
        return image.original
    is_unknown = decide(image.image).outcome is Outcome.UNMATCHED
    if is_unknown and has_same_ending(image.original, image.image):
        return image.original
    return image.image


def decide_originals(
    images: Iterable[ImageInUse], find_decide: Callable[[str], Callable[[str], Decision]]
) -> list[Decision]:
    """Return the decisions on the originals of images that are pulled, each once.

    Args:
        images: The images; `confirm_original` finds their originals.
        find_decide: Returns what decides on the images of a namespace.
    """
    decisions: dict[tuple[str, str], Decision] = {}
    for each in images:
        if each.pull_policy != "Never":
            decide = find_decide(each.owner.namespace)
            decision = decide(confirm_original(each, decide))
            decisions.setdefault((decision.original, decision.image), decision)
    return [*decisions.values()]


def read_cluster_images(client: KubeClient, namespace: str = "") -> Iterator[ImageInUse]:
    """Yield the images of a cluster's Pods and workloads, also of those scaled to zero.

    Not read are templates of ReplicaSets and Jobs that another workload controls: they are
    what it was in the past, unless they have Pods.

    Args:
        client: The cluster.
        namespace: Read this namespace only; empty for all.

    Raises:
        ClusterError: The cluster cannot be read.
    """
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    controllers: dict[str, ImageOwner] = {}
    for kind, group in COLLECTIONS.items():
        for value in client.iterate(f"{group}{scope}/{kind.lower()}s"):
            owner = _find_owner(kind, value, controllers)
            if kind != POD:
                controllers[value["metadata"]["uid"]] = owner
            if kind in (POD, owner.kind) or owner.kind not in COLLECTIONS:
                yield from _find_images(kind, value, owner)


def read_manifest_images(
    paths: tuple[Path, ...], report: Callable[[str], None]
) -> Iterator[ImageInUse]:
    """Yield the images of manifests.

    Args:
        paths: Files, folders, or ``-`` for standard input.
        report: Is called with file, line and reason of each document that cannot be read.

    Raises:
        click.FileError: A file cannot be read.
    """
    for source in find_manifests(paths):
        for found in read_objects(source.blocks()):
            if isinstance(found, ManifestProblem):
                report(f"{source.name}:{found.line}: {found.text}")
            else:
                owner = _find_owner(found.kind, found.value, {})
                yield from _find_images(found.kind, found.value, owner, source.name)


def _find_owner(
    kind: str, value: dict[str, Any], controllers: Mapping[str, ImageOwner]
) -> ImageOwner:
    details = value.get("metadata")
    metadata = read_pod({"metadata": details}).metadata
    namespace = details.get("namespace") if isinstance(details, dict) else None
    namespace = namespace if isinstance(namespace, str) else ""
    if metadata is None:
        return ImageOwner(kind, namespace, "")
    controller = metadata.controller
    if controller is None:
        return ImageOwner(kind, namespace, metadata.name or metadata.generate_name or "")
    known = controllers.get(controller.uid or "")
    return known or ImageOwner(controller.kind or "", namespace, controller.name or "")


def _find_images(
    kind: str, value: dict[str, Any], owner: ImageOwner, source: str = ""
) -> Iterator[ImageInUse]:
    template: Any = value
    for step in POD_SPEC_PATHS[kind][:-1]:
        template = template.get(step) if isinstance(template, dict) else None
    pod = read_pod(template)
    if pod.spec is None:
        return
    metadata = pod.metadata
    annotations = (metadata and metadata.annotations) or {}
    originals = parse_originals(annotations.get(ORIGINAL_IMAGES)) if annotations else {}
    for field in find_images(pod.spec):
        yield ImageInUse(
            image=field.image,
            original=originals.get(field.name, field.image),
            container=field.name,
            pull_policy=field.pull_policy,
            owner=owner,
            pod=(metadata and metadata.name) or "" if kind == POD else "",
            labels=(metadata and metadata.labels) or {},
            opt_out=opt_out_reason(metadata),
            source=source,
        )
