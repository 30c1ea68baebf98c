"""One object, as it was read from the API server or from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webhook.config.errors import Diagnostics, SourceLocation
from webhook.config.spec import Kind, Spec, read_spec
from webhook.config.yaml_values import YAMLValue, make_node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.config.errors import Problem

__all__ = ["API_VERSION", "ResourceObject", "name_object", "read_object"]

API_VERSION: Final = "mirrorhook.io/v1alpha1"
MAX_PROBLEMS: Final = 50  # of an object; more would help nobody, and take memory


@dataclass(frozen=True, slots=True)
class ResourceObject:
    """An object with rules.

    Two are equal if they have the same content: the generation of an object changes with its spec.

    Attributes:
        kind: Its kind.
        namespace: Its namespace; empty for a kind of the cluster.
        name: Its name.
        uid: Its UID.
        generation: The generation of its spec.
        created: When it was created, as the API server writes it.
        spec: Its content, without what is wrong.
        problems: What is wrong with its content.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    generation: int
    created: str
    spec: Spec = field(compare=False, repr=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False, repr=False)

    @property
    def age(self) -> tuple[str, str]:
        """Sorts objects by their age; the older one wins a conflict."""
        return self.created, self.name

    def __str__(self) -> str:
        return name_object(self.kind, self.namespace, self.name)


def name_object(kind: Kind, namespace: str, name: str) -> str:
    """Return an object as messages name it, such as ``MirrorRules team-a/rules``."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def read_object(manifest: Mapping[str, Any]) -> ResourceObject:
    """Return an object from its JSON, as the API server sends it; it may be invalid.

    Args:
        manifest: The object, with its kind.
    """
    kind, metadata = Kind(manifest["kind"]), manifest["metadata"]
    namespace, name = metadata.get("namespace", ""), metadata["name"]
    diagnostics = Diagnostics()
    node = make_node(manifest.get("spec") or {})
    value = YAMLValue(node, SourceLocation(path="spec"), diagnostics)
    spec = read_spec(value, kind, name_object(kind, namespace, name))
    return ResourceObject(
        kind,
        namespace,
        name,
        metadata["uid"],
        metadata["generation"],
        metadata["creationTimestamp"],
        spec,
        tuple(diagnostics.problems[:MAX_PROBLEMS]),
    )
