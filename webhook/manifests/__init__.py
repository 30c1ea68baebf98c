"""Manifests as text: what they say of images is changed, and every other byte stays."""

from webhook.manifests.places import ImagePath, InvalidImagePathError
from webhook.manifests.results import Image, Problem, Rewritten
from webhook.manifests.rewriting import rewrite_manifests, rewritten_parts, unreadable

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
