"""Reading the Pods and workloads of a file of manifests as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.manifests.finder import ImageFinder
from webhook.manifests.image_paths import GROUPS
from webhook.manifests.nodes import DocumentError, to_plain_values
from webhook.manifests.rewriter import ManifestProblem
from webhook.manifests.splitter import FileDecoder, split_documents
from webhook.objects import POD_SPEC_PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ManifestObject", "read_objects"]

# From a CronJob to `reference` in spec.volumes[].image of its Pods, and a level for its value.
DEPTH: Final = 11


class ManifestObject(NamedTuple):
    """An object of a file.

    Attributes:
        kind: Its kind, a key of `POD_SPEC_PATHS`.
        value: Its dicts, lists and strings; other values are None.
    """

    kind: str
    value: dict[str, Any]


def read_objects(blocks: Iterable[bytes]) -> Iterator[ManifestObject | ManifestProblem]:
    """Yield the objects with Pods or Pod templates of a file, and what cannot be read.

    Args:
        blocks: The file: YAML or JSON, with one document or several.
    """
    for document in split_documents(FileDecoder(blocks).texts()):
        mistakes = [document.find_undecoded()]
        try:
            trees = document.parse().roots
        except DocumentError as error:
            mistakes, trees = [error], []
        finder = ImageFinder(())
        for tree in trees:
            for found, kind, group in finder.iterate_objects(tree):
                value = to_plain_values(found.node, DEPTH)
                if kind in POD_SPEC_PATHS and group in GROUPS and isinstance(value, dict):
                    yield ManifestObject(kind, value)
        for mistake in [*mistakes, *finder.problems]:
            if mistake is not None:
                line = document.line + document.text.count("\n", 0, mistake.offset)
                yield ManifestProblem(line, mistake.problem)
