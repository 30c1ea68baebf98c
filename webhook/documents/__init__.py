"""
Manifests as text: what they say of images is changed, and every other byte stays.
"""

from webhook.documents.places import ImagePath, InvalidImagePathError
from webhook.documents.rewriting import Image, Problem, Rewritten, rewrite_manifests

__all__ = [
    "Image",
    "ImagePath",
    "InvalidImagePathError",
    "Problem",
    "Rewritten",
    "rewrite_manifests",
]
