"""The custom resources of a cluster, as commands read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from webhook.kube import NotFoundError
from webhook.resources import Kind, build_effective, read_object
from webhook.resources.objects import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from webhook.config import Configuration
    from webhook.kube.client import KubeClient
    from webhook.resources import Effective, ResourceObject

__all__ = ["ClusterObjects", "get_collection", "read_custom_resources", "read_namespace_labels"]

API: Final = f"/apis/{API_VERSION}"
NAMESPACES: Final = "/api/v1/namespaces"


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """The custom resources of a cluster, and what they depend on.

    Attributes:
        objects: The objects of both kinds.
        conditions: The conditions of each, by UID and type.
        labels: The labels of the namespaces that have objects.
        missing: The kinds that the API server does not know.
    """

    objects: tuple[ResourceObject, ...] = ()
    conditions: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    missing: tuple[Kind, ...] = ()

    def build(self, configuration: Configuration) -> Effective:
        """Return what a rules file and the objects are together."""
        of_kind: dict[Kind, list[ResourceObject]] = {kind: [] for kind in Kind}
        for each in self.objects:
            of_kind[each.kind].append(each)
        return build_effective(
            configuration, of_kind[Kind.PLATFORM], of_kind[Kind.TEAM], self.labels
        )


def get_collection(kind: Kind) -> str:
    """Return the path of all objects of a kind."""
    return f"{API}/{kind.lower()}"


def read_custom_resources(client: KubeClient, namespace: str = "") -> ClusterObjects:
    """Read the custom resources of a cluster.

    Args:
        client: The cluster.
        namespace: Read the MirrorRules of this namespace only; empty for all.

    Raises:
        ClusterError: They cannot be read.
    """
    missing = []
    found: list[dict[str, Any]] = []
    for kind in Kind:
        try:
            found += _read_kind(client, kind, namespace)
        except NotFoundError:
            missing.append(kind)
    objects = tuple(read_object(each) for each in found)
    conditions = {
        each["metadata"]["uid"]: {
            one["type"]: one for one in (each.get("status") or {}).get("conditions") or ()
        }
        for each in found
    }
    has_team = any(each.kind is Kind.TEAM for each in objects)
    labels = read_namespace_labels(client, namespace) if has_team else {}
    return ClusterObjects(objects, conditions, labels, tuple(missing))


def _read_kind(client: KubeClient, kind: Kind, namespace: str) -> Iterator[dict[str, Any]]:
    path = get_collection(kind)
    if namespace and kind is Kind.TEAM:
        path = f"{API}/namespaces/{quote(namespace, safe='')}/{kind.lower()}"
    for item in client.iterate(path):
        yield {**item, "kind": str(kind)}


def read_namespace_labels(client: KubeClient, namespace: str = "") -> dict[str, dict[str, str]]:
    """Return the labels of each namespace, by its name.

    Args:
        client: The cluster.
        namespace: Read this namespace only; empty for all.

    Raises:
        ClusterError: They cannot be read.
    """
    found = (
        [client.get(f"{NAMESPACES}/{quote(namespace, safe='')}")]
        if namespace
        else client.iterate(NAMESPACES)
    )
    details = [each["metadata"] for each in found if each]
    return {each["name"]: each.get("labels") or {} for each in details}
