"""Reading a Pod from plain JSON values, of which any part may be anything."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from webhook.objects.pod import (
    Container,
    ImageVolumeSource,
    LocalObjectReference,
    ObjectMeta,
    OwnerReference,
    Pod,
    PodSpec,
    Volume,
)

__all__ = ["pod_from"]


def pod_from(value: object) -> Pod:
    """Read a Pod from plain JSON values, leaving out every part of another type.

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
    """Read an object's metadata from plain JSON values."""
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
    """Read the reference to an owner from plain JSON values."""
    controller = value.get("controller")
    return OwnerReference(
        api_version=text(value.get("apiVersion")),
        kind=text(value.get("kind")),
        name=text(value.get("name")),
        uid=text(value.get("uid")),
        controller=controller if isinstance(controller, bool) else None,
    )


def spec_from(value: dict[str, Any]) -> PodSpec:
    """Read a Pod's spec from plain JSON values."""

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
    """Read the names of Secrets from plain JSON values; UNSET if they are no list."""
    if not isinstance(value, list):
        return UNSET
    return tuple(LocalObjectReference(text(mapping(each).get("name"))) for each in value)


def container_from(value: dict[str, Any]) -> Container:
    """Read a container from plain JSON values."""
    return Container(
        name=text(value.get("name")),
        image=text(value.get("image")),
        image_pull_policy=text(value.get("imagePullPolicy")),
    )


def volume_from(value: dict[str, Any]) -> Volume:
    """Read a volume from plain JSON values."""
    image = value.get("image")
    if not isinstance(image, dict):
        return Volume(name=text(value.get("name")))
    source = ImageVolumeSource(
        reference=text(image.get("reference")), pull_policy=text(image.get("pullPolicy"))
    )
    return Volume(name=text(value.get("name")), image=source)


def mapping(value: object) -> dict[str, Any]:
    """Return *value* if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Any]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str | None:
    """Return *value* if it is a text."""
    return value if isinstance(value, str) else None


def texts(value: object) -> dict[str, str | None] | None:
    """Return a mapping of texts, if *value* is one as a whole."""
    if not isinstance(value, dict):
        return None
    if not all(entry is None or isinstance(entry, str) for entry in value.values()):
        return None
    return value
