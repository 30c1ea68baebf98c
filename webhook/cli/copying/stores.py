"""Between which stores an image is copied."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from webhook.transfer import ArchivedImage, Rehearsal, Repository

if TYPE_CHECKING:
    import asyncio

    from webhook.core import ImageReference
    from webhook.transfer import Archive, Order, Session, Store

__all__ = ["Route", "kept_as"]


def kept_as(reference: ImageReference) -> ImageReference:
    """Return the name that an image has in an archive: its own, with a tag or a digest."""
    if reference.tag or reference.digest:
        return reference
    return reference._replace(tag="latest")


@dataclass(frozen=True, slots=True)
class Route:
    """The way of all images of one run.

    Attributes:
        session: What they have in common.
        saving: The archive that they go to; None if they go to their mirrors.
        loading: The archive that they come from; None if they come from upstream.
        is_rehearsal: Whether nothing is sent.
        counted: By registry, the blobs that were counted in a rehearsal.
        locks: Keeps two images from writing the same blob of an archive at once.
    """

    session: Session
    saving: Archive | None = None
    loading: Archive | None = None
    is_rehearsal: bool = False
    counted: dict[str, set[str]] = field(default_factory=dict)
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def __call__(self, order: Order) -> tuple[Store, Store]:
        """Return where an image, which has a name at a mirror, comes from and goes to."""
        reference, upstream, target = order.reference, order.upstream, order.target
        assert reference and upstream and target  # noqa: S101, PT018 - of such orders
        source: Store
        end: Store
        if self.loading:
            source = self._archived(self.loading, reference)
            upstream = None
        else:
            source = Repository(self.session, upstream)
        if self.saving:
            place, end = "", self._archived(self.saving, reference)
        else:
            place = target.registry
            end = Repository(self.session, target, beside=upstream)
        if self.is_rehearsal:
            counted = self.counted.setdefault(place, set())
            mounts = upstream is not None and upstream.registry == place
            end = Rehearsal(end, counted, mounts=mounts)
        return source, end

    def _archived(self, archive: Archive, reference: ImageReference) -> ArchivedImage:
        patience = self.session.patience
        return ArchivedImage(archive, kept_as(reference), patience, self.locks)
