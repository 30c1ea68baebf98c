"""The parts of a Pod that matter for its images, and reading them.

The types follow `k8s.io/api/core/v1`_. A Pod is read into them and never written from them:
whatever else it holds, of this Kubernetes version or a later one, stays untouched. ``null``
counts as absent, as it does for the API server.

.. _k8s.io/api/core/v1: https://github.com/kubernetes/api/blob/master/core/v1/types.go
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
    "LocalObjectReference",
    "ObjectMeta",
    "OwnerReference",
    "Pod",
    "PodSpec",
    "Volume",
    "read_pod",
]

# The path of the Pod's spec in each kind that creates Pods.
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
    """A volume, which may be an image."""

    name: str | None = None
    image: ImageVolumeSource | None = None


class LocalObjectReference(Struct, frozen=True, gc=False):
    """The name of an object in the Pod's namespace."""

    name: str | None = None


class PodSpec(Struct, frozen=True, gc=False, rename="camel"):
    """The images of a Pod, and the Secrets to pull them with.

    Attributes:
        image_pull_secrets: UNSET if the value has an unexpected type.
    """

    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    ephemeral_containers: tuple[Container, ...] | None = None
    volumes: tuple[Volume, ...] | None = None
    image_pull_secrets: tuple[LocalObjectReference, ...] | UnsetType | None = None


class OwnerReference(Struct, frozen=True, gc=False, rename="camel"):
    """An object that a Pod belongs to."""

    api_version: str | None = None
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None


class ObjectMeta(Struct, frozen=True, gc=False, rename="camel"):
    """A Pod's name, labels, annotations and owners.

    Attributes:
        annotations: UNSET if the value has an unexpected type.
    """

    name: str | None = None
    generate_name: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | UnsetType | None = None
    owner_references: list[OwnerReference] | None = None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that creates the Pod again when it is gone."""
        for owner in self.owner_references or ():
            if owner.controller:
                return owner
        return None


class Pod(Struct, frozen=True, gc=False):
    """A Pod."""

    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None


def read_pod(value: object) -> Pod:
    """Read a Pod from plain JSON values, leaving out every part of an unexpected type.

    Entries of lists keep their positions, so that pointers into the object stay right.
    """
    pod = _as_dict(value)
    metadata = pod.get("metadata")
    spec = pod.get("spec")
    return Pod(
        metadata=_read_metadata(metadata) if isinstance(metadata, dict) else None,
        spec=_read_spec(spec) if isinstance(spec, dict) else None,
    )


def _read_metadata(value: dict[str, Any]) -> ObjectMeta:
    annotations = value.get("annotations")
    known = _as_texts(annotations)
    owners = value.get("ownerReferences")
    return ObjectMeta(
        name=_as_text(value.get("name")),
        generate_name=_as_text(value.get("generateName")),
        labels=_as_texts(value.get("labels")),
        annotations=UNSET if annotations is not None and known is None else known,
        owner_references=[_read_owner(_as_dict(entry)) for entry in owners]
        if isinstance(owners, list)
        else None,
    )


def _read_owner(value: dict[str, Any]) -> OwnerReference:
    controller = value.get("controller")
    return OwnerReference(
        api_version=_as_text(value.get("apiVersion")),
        kind=_as_text(value.get("kind")),
        name=_as_text(value.get("name")),
        uid=_as_text(value.get("uid")),
        controller=controller if isinstance(controller, bool) else None,
    )


def _read_spec(value: dict[str, Any]) -> PodSpec:
    def containers(field: str) -> tuple[Container, ...]:
        return tuple(_read_container(_as_dict(each)) for each in _as_list(value.get(field)))

    secrets = value.get("imagePullSecrets")
    return PodSpec(
        image_pull_secrets=_read_secrets(secrets) if secrets is not None else None,
        containers=containers("containers"),
        init_containers=containers("initContainers"),
        ephemeral_containers=containers("ephemeralContainers"),
        volumes=tuple(_read_volume(_as_dict(each)) for each in _as_list(value.get("volumes"))),
    )


def _read_secrets(value: object) -> tuple[LocalObjectReference, ...] | UnsetType:
    if not isinstance(value, list):
        return UNSET
    return tuple(LocalObjectReference(_as_text(_as_dict(each).get("name"))) for each in value)


def _read_container(value: dict[str, Any]) -> Container:
    return Container(
        name=_as_text(value.get("name")),
        image=_as_text(value.get("image")),
        image_pull_policy=_as_text(value.get("imagePullPolicy")),
    )


def _read_volume(value: dict[str, Any]) -> Volume:
    image = value.get("image")
    if not isinstance(image, dict):
        return Volume(name=_as_text(value.get("name")))
    source = ImageVolumeSource(
        reference=_as_text(image.get("reference")), pull_policy=_as_text(image.get("pullPolicy"))
    )
    return Volume(name=_as_text(value.get("name")), image=source)


def _as_dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _as_texts(value: object) -> dict[str, str | None] | None:
    """Return a dict of texts; None if any of its values is something else."""
    if not isinstance(value, dict):
        return None
    if not all(entry is None or isinstance(entry, str) for entry in value.values()):
        return None
    return value
