"""Manifests as text: what they say of images is changed, and every other byte stays."""

from webhook.manifests.image_paths import ImagePath, InvalidImagePathError
from webhook.manifests.rewriter import (
    Image,
    Problem,
    Rewritten,
    rewrite_manifests,
    rewritten_parts,
    unreadable,
)

__all__ = [
    "Image",
    "ImagePath",
    "InvalidImagePathError",
    "Problem",
    "Rewritten",
    "rewrite_manifests",
    "rewritten_parts",
    "unreadable",
]
