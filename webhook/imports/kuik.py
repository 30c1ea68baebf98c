"""Custom resources of kube-image-keeper 2 (`crds`_).

A mirror there takes the path of an image without its registry, and the original is
asked first.

.. _crds: https://github.com/enix/kube-image-keeper/tree/main/docs
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core import Original
from webhook.imports.patterns import EVERY_NAME, is_everything, prefix_of
from webhook.imports.tree import documents, entries, line_of, table

if TYPE_CHECKING:
    from webhook.imports.sketch import Sketch
    from webhook.imports.tree import Table

__all__ = ["from_kube_image_keeper"]

MIRRORS: Final = ("ImageSetMirror", "ClusterImageSetMirror")
REPLICAS: Final = ("ReplicatedImageSet", "ClusterReplicatedImageSet")


def from_kube_image_keeper(text: str, sketch: Sketch) -> None:
    """Sketch the rules of its custom resources."""
    found = False
    for document in documents(text):
        kind = table(document).get("kind")
        spec = table(table(document).get("spec"))
        if kind in MIRRORS:
            found = True
            sketch_mirrors(spec, sketch)
        elif kind in REPLICAS:
            found = True
            sketch_replicas(spec, sketch)
    if not found:
        sketch.remark(0, f"there is none of {', '.join((*MIRRORS, *REPLICAS))} in the file")


def sketch_mirrors(spec: Table, sketch: Sketch) -> None:
    """Sketch one set of images and its mirrors."""
    mirrors = [place(table(each)) for each in entries(spec.get("mirrors"))]
    targets = [target for target in mirrors if target]
    if not targets:
        sketch.remark(spec.line, "the list of mirrors is empty: left out")
        return
    images = table(spec.get("imageFilter") or spec.get("images"))
    for pattern in entries(images.get("include")) or [None]:
        line = line_of(pattern, spec.line)
        written = "" if pattern is None else str(pattern)
        prefix = prefix_of(f"^{written.removeprefix('^')}")
        if is_everything(written):
            regexes = [f"{target}/\\1" for target in targets]
            sketch.regex(line, EVERY_NAME, regexes, Original.FIRST)
        elif prefix is None:
            sketch.remark(line, f"{written} is more than a prefix: left out")
        else:
            path = prefix.partition("/")[2]
            below = [f"{target}/{path}" if path else target for target in targets]
            sketch.mirror(line, prefix, below, Original.FIRST)
    for pattern in entries(images.get("exclude")):
        prefix = prefix_of(f"^{str(pattern).removeprefix('^')}")
        if prefix is None:
            sketch.remark(line_of(pattern), f"{pattern} is more than a prefix: not excluded")
        else:
            sketch.keep(line_of(pattern), prefix)
    note_secrets(spec.get("mirrors"), sketch)


def sketch_replicas(spec: Table, sketch: Sketch) -> None:
    """Sketch places that hold the same images; the first is taken for the one that is written."""
    upstreams = [table(each) for each in entries(spec.get("upstreams"))]
    places = [place(each) for each in upstreams]
    if len(places) < 2 or not all(places):  # noqa: PLR2004 - one and another
        sketch.remark(spec.line, "there are no two upstreams: left out")
        return
    sketch.mirror(spec.line, places[0], places[1:], Original.FIRST)
    sketch.remark(
        spec.line,
        f"the upstreams stand for each other; here {places[0]} goes to the others, and not "
        "the other way, which would lead back",
    )
    for each in upstreams:
        if each.get("imageFilter"):
            line = line_of(each["imageFilter"], each.line)
            sketch.remark(line, "imageFilter of an upstream is left out: all its images count")
    note_secrets(spec.get("upstreams"), sketch)


def place(value: Table) -> str:
    """Return registry and path of a mirror or upstream; empty without a registry."""
    registry, path = str(value.get("registry") or ""), str(value.get("path") or "")
    path = path.strip("/")
    return f"{registry}/{path}" if registry and path else registry


def note_secrets(value: object, sketch: Sketch) -> None:
    """Note the credentials that mirrors have."""
    for each in entries(value if isinstance(value, list) else None):  # type: ignore[arg-type]
        secret = table(each).get("credentialSecret")
        if secret:
            line = line_of(secret)
            sketch.remark(line, "credentialSecret is left out: give Pods a pull secret")
