"""Reading large reviews, whose size is often that of annotations which came before.

The Pods of a workload have the annotations of its template, byte for byte. To compare them
takes a fraction of the time that it takes to make texts of them again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec import Raw
from msgspec.structs import force_setattr

from webhook.objects import ObjectMeta, Pod

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AnnotatedPod", "read_annotations"]

Annotations: TypeAlias = dict[str, str | None] | None

# Each is no larger than a review; a megabyte or two in the usual bounds.
SIZE: Final = 16
MAX_LENGTH: Final = 64 * 1024

_annotations: Callable[[bytes], Annotations] = msgspec.json.Decoder(Annotations).decode


class AnnotatedMeta(ObjectMeta, frozen=True, gc=False):
    """A Pod's metadata whose annotations are still as they came; empty for none."""

    annotations: Raw = Raw()  # type: ignore[assignment]  # until they are read


class AnnotatedPod(Pod, frozen=True, gc=False):
    """A Pod whose annotations are still as they came."""

    metadata: AnnotatedMeta | None = None


class Known:
    """The latest annotations by their length; all are forgotten when there are too many."""

    def __init__(self) -> None:
        self._latest: dict[int, tuple[bytes, Annotations]] = {}

    def read(self, content: bytes) -> Annotations:
        """Return annotations, which nobody may change.

        Raises:
            msgspec.ValidationError: They are anything else.
        """
        known = self._latest.get(len(content))
        if known is not None and known[0] == content:
            return known[1]
        annotations = _annotations(content)
        if len(content) <= MAX_LENGTH:
            if len(self._latest) >= SIZE:
                self._latest.clear()
            self._latest[len(content)] = content, annotations
        return annotations


_known: Final = Known()


def read_annotations(pod: AnnotatedPod | None) -> None:
    """Read the annotations of a Pod, if it has any.

    Raises:
        msgspec.ValidationError: They are anything else.
    """
    metadata = pod.metadata if pod else None
    if metadata is not None:
        content = bytes(metadata.annotations)
        annotations = _known.read(content) if content else None
        force_setattr(metadata, "annotations", annotations)
