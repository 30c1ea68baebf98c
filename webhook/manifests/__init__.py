"""Manifests as text: their images are rewritten, and every other byte is kept."""

from webhook.manifests.image_paths import ImagePath, InvalidImagePathError
from webhook.manifests.reader import ManifestObject, read_objects
from webhook.manifests.rewriter import (
    ManifestImage,
    ManifestProblem,
    RewriteResult,
    rewrite_manifests,
    rewrite_stream,
)

__all__ = [
    "ImagePath",
    "InvalidImagePathError",
    "ManifestImage",
    "ManifestObject",
    "ManifestProblem",
    "RewriteResult",
    "read_objects",
    "rewrite_manifests",
    "rewrite_stream",
]
