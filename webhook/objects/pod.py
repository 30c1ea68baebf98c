"""
The parts of a Pod that hold images, or say how to treat them.

A Pod is read into these types and never written from them: whatever else it
holds, of this Kubernetes version or a later one, stays untouched. ``null`` counts
as absent, as it does for the API server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "POD_SPEC_PATHS",
    "Container",
    "ImageVolumeSource",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodSpec",
    "Volume",
    "pod_from",
]

# Where each kind that makes Pods keeps the Pod's spec.
POD_SPEC_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "ReplicationController": ("spec", "template", "spec"),
    "ReplicaSet": ("spec", "template", "spec"),
    "Deployment": ("spec", "template", "spec"),
    "StatefulSet": ("spec", "template", "spec"),
    "DaemonSet": ("spec", "template", "spec"),
    "Job": ("spec", "template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}


class Container(Struct, frozen=True, gc=False, rename="camel"):
    """
    A container, init container, sidecar or ephemeral container.
    """

    name: str | None = None
    image: str | None = None
    image_pull_policy: str | None = None


class ImageVolumeSource(Struct, frozen=True, gc=False, rename="camel"):
    """
    The image of an image volume (KEP-4639).
    """

    reference: str | None = None
    pull_policy: str | None = None


class Volume(Struct, frozen=True, gc=False):
    """
    A volume, of which only an image matters here.
    """

    name: str | None = None
    image: ImageVolumeSource | None = None


class LocalObjectReference(Struct, frozen=True, gc=False):
    """
    The name of an object in the Pod's namespace.
    """

    name: str | None = None


class PodSpec(Struct, frozen=True, gc=False, rename="camel"):
    """
    Every place of an image in a Pod, and the Secrets to pull them with.

    Attributes:
        image_pull_secrets: UNSET where something else stands in their place.
    """

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    image_pull_secrets: tuple[LocalObjectReference, ...] | UnsetType | None = None


class OwnerReference(Struct, frozen=True, gc=False, rename="camel"):
    """
    The object that a Pod belongs to.
    """

    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None


class ObjectMeta(Struct, frozen=True, gc=False, rename="camel"):
    """
    A Pod's name, and what is written on it.

    Attributes:
        annotations: UNSET where something else stands in their place.
    """

    name: str | None = None
    generate_name: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | UnsetType | None = None
    owner_references: list[OwnerReference] | None = None

    @property
    def controller(self) -> OwnerReference | None:
        """
        The one that makes the Pod anew when it is gone.
        """
        for owner in self.owner_references or ():
            if owner.controller:
                return owner
        return None


class Pod(Struct, frozen=True, gc=False):
    """
    A Pod, as far as images go.
    """

    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None


def pod_from(value: object) -> Pod:
    """
    Read a Pod from plain JSON values, leaving out every part of another type.

    Entries of lists keep their places, so that pointers into the object stay right.
    """
    pod = mapping(value)
    metadata = pod.get("metadata")
    spec = pod.get("spec")
    return Pod(
        metadata=metadata_from(metadata) if isinstance(metadata, dict) else None,
        spec=spec_from(spec) if isinstance(spec, dict) else None,
    )


def metadata_from(value: dict[str, Any]) -> ObjectMeta:
    """
    Read an object's metadata from plain JSON values.
    """
    annotations = value.get("annotations")
    known = texts(annotations)
    owners = value.get("ownerReferences")
    return ObjectMeta(
        name=text(value.get("name")),
        generate_name=text(value.get("generateName")),
        labels=texts(value.get("labels")),
        annotations=UNSET if annotations is not None and known is None else known,
        owner_references=[owner_from(mapping(entry)) for entry in owners]
        if isinstance(owners, list)
        else None,
    )


def owner_from(value: dict[str, Any]) -> OwnerReference:
    """
    Read the reference to an owner from plain JSON values.
    """
    controller = value.get("controller")
    return OwnerReference(
        api_version=text(value.get("apiVersion")),
        kind=text(value.get("kind")),
        name=text(value.get("name")),
        uid=text(value.get("uid")),
        controller=controller if isinstance(controller, bool) else None,
    )


def spec_from(value: dict[str, Any]) -> PodSpec:
    """
    Read a Pod's spec from plain JSON values.
    """

    def containers(field: str) -> tuple[Container, ...]:
        return tuple(container_from(mapping(each)) for each in entries(value.get(field)))

    secrets = value.get("imagePullSecrets")
    return PodSpec(
        image_pull_secrets=secrets_from(secrets) if secrets is not None else None,
        containers=containers("containers"),
        init_containers=containers("initContainers"),
        ephemeral_containers=containers("ephemeralContainers"),
        volumes=tuple(volume_from(mapping(each)) for each in entries(value.get("volumes"))),
    )


def secrets_from(value: object) -> tuple[LocalObjectReference, ...] | UnsetType:
    """
    Read the names of Secrets from plain JSON values; UNSET if they are no list.
    """
    if not isinstance(value, list):
        return UNSET
    return tuple(LocalObjectReference(text(mapping(each).get("name"))) for each in value)


def container_from(value: dict[str, Any]) -> Container:
    """
    Read a container from plain JSON values.
    """
    return Container(
        name=text(value.get("name")),
        image=text(value.get("image")),
        image_pull_policy=text(value.get("imagePullPolicy")),
    )


def volume_from(value: dict[str, Any]) -> Volume:
    """
    Read a volume from plain JSON values.
    """
    image = value.get("image")
    if not isinstance(image, dict):
        return Volume(name=text(value.get("name")))
    source = ImageVolumeSource(
        reference=text(image.get("reference")), pull_policy=text(image.get("pullPolicy"))
    )
    return Volume(name=text(value.get("name")), image=source)


def mapping(value: object) -> dict[str, Any]:
    """
    Return *value* if it is a mapping, else an empty one.
    """
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Any]:
    """
    Return *value* if it is a list, else an empty one.
    """
    return value if isinstance(value, list) else []


def text(value: object) -> str | None:
    """
    Return *value* if it is a text.
    """
    return value if isinstance(value, str) else None


def texts(value: object) -> dict[str, str | None] | None:
    """
    Return a mapping of texts, if *value* is one as a whole.
    """
    if not isinstance(value, dict):
        return None
    if not all(entry is None or isinstance(entry, str) for entry in value.values()):
        return None
    return value
