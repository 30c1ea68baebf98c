"""The parts of a Pod that hold images, or say how to treat them.

A Pod is read into these types and never written from them: whatever else it
holds, of this Kubernetes version or a later one, stays untouched. ``null`` counts
as absent, as it does for the API server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "POD_SPEC_PATHS",
    "Container",
    "ImageVolumeSource",
    "LocalObjectReference",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodSpec",
    "Volume",
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
    """A container, init container, sidecar or ephemeral container."""

    name: str | None = None
    image: str | None = None
    image_pull_policy: str | None = None


class ImageVolumeSource(Struct, frozen=True, gc=False, rename="camel"):
    """The image of an image volume (KEP-4639)."""

    reference: str | None = None
    pull_policy: str | None = None


class Volume(Struct, frozen=True, gc=False):
    """A volume, of which only an image matters here."""

    name: str | None = None
    image: ImageVolumeSource | None = None


class LocalObjectReference(Struct, frozen=True, gc=False):
    """The name of an object in the Pod's namespace."""

    name: str | None = None


class PodSpec(Struct, frozen=True, gc=False, rename="camel"):
    """Every place of an image in a Pod, and the Secrets to pull them with.

    Attributes:
        image_pull_secrets: UNSET where something else stands in their place.
    """

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    image_pull_secrets: tuple[LocalObjectReference, ...] | UnsetType | None = None


class OwnerReference(Struct, frozen=True, gc=False, rename="camel"):
    """The object that a Pod belongs to."""

    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None


class ObjectMeta(Struct, frozen=True, gc=False, rename="camel"):
    """A Pod's name, and what is written on it.

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
        """The one that makes the Pod anew when it is gone."""
        for owner in self.owner_references or ():
            if owner.controller:
                return owner
        return None


class Pod(Struct, frozen=True, gc=False):
    """A Pod, as far as images go."""

    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None
