"""A repository of a registry, to be read and written (`distribution`_).

.. _distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from webhook.core.reference import is_digest
from webhook.registry.responses import MEDIA_TYPES, CheckStatus, interpret_response
from webhook.transfer.content import index_of, parse_manifest
from webhook.transfer.download import Download
from webhook.transfer.errors import (
    SparseIndexError,
    TransferError,
    WrongContentError,
    refusal,
)
from webhook.transfer.line import Line
from webhook.transfer.referring import listed, referrers_tag
from webhook.transfer.store import Arrival, Received
from webhook.transfer.uploading import begun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from webhook.core import ImageReference
    from webhook.registry import CheckResult
    from webhook.transfer.client import Reply
    from webhook.transfer.content import Descriptor, Manifest
    from webhook.transfer.session import Session
    from webhook.transfer.store import Store

__all__ = ["Repository"]

ACCEPT: Final = {"Accept": ", ".join(MEDIA_TYPES)}
CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
OK: Final = 200
CREATED: Final = 201
PARTIAL: Final = 206
NOT_FOUND: Final = 404
# A registry that looks for what an index lists says one of these where it is missing.
LACKING: Final = frozenset({400, 404})


class Repository:
    """The repository of an image.

    Args:
        session: What the images of this run have in common.
        reference: The image.
        beside: Another repository, from which blobs can be mounted if it is of the same
            registry.
    """

    is_partial = False

    def __init__(
        self,
        session: Session,
        reference: ImageReference,
        beside: ImageReference | None = None,
    ) -> None:
        self._session = session
        self._reference = reference
        self._line = Line(session.client, reference, session.patience)
        same = beside is not None and beside.registry == reference.registry
        self._beside = beside.repository if same and beside is not None else ""
        # Manifests of which the registry itself said that it knows their subject.
        self._linked: set[str] = set()

    def __str__(self) -> str:
        return self._reference.name

    async def digest_of(self, name: str) -> str:
        """Return the digest of what goes by a name; empty if nothing does."""
        return await self._session.patience.retried(lambda: self._digest_of(name))

    async def _digest_of(self, name: str) -> str:
        to = f"manifests/{name}"
        reply = await self._line.fetch("HEAD", to, ACCEPT)
        if reply.status == NOT_FOUND:
            return ""
        finding = found(reply, name)
        self._raise_unless_present("HEAD", to, reply, finding)
        return finding.digest or (await self.manifest(name)).digest

    async def manifest(self, name: str) -> Manifest:
        """Return what goes by a name, checked against its digest."""
        return await self._session.patience.retried(lambda: self._manifest(name))

    async def _manifest(self, name: str) -> Manifest:
        to = f"manifests/{name}"
        reply = await self._line.fetch("GET", to, ACCEPT)
        finding = found(reply, name)
        self._raise_unless_present("GET", to, reply, finding)
        kind = reply.headers["Content-Type"]
        what = f"{name} from {self._reference.name}"
        return parse_manifest(reply.body, kind, finding.digest, what)

    def _raise_unless_present(
        self, method: str, to: str, reply: Reply, finding: CheckResult
    ) -> None:
        if finding.status is CheckStatus.PRESENT:
            return
        what, registry = self._line.what(method, to), self._reference.registry
        if finding.status is CheckStatus.MISMATCH:
            raise WrongContentError(f"{what}: {registry} {finding.reason}: do not use it")
        raise refusal(what, registry, finding, reply.headers.get("Retry-After", ""))

    @asynccontextmanager
    async def blob(
        self, blob: Descriptor, offset: int
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Give a blob from a byte on, or from an earlier one: which, and the content."""
        to = f"blobs/{blob.digest}"
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._line.open(to, headers) as (opened, parts):
            start = 0
            if opened.status == PARTIAL:
                told = CONTENT_RANGE.fullmatch(opened.headers.get("Content-Range", ""))
                start = int(told[1]) if told else offset + 1
            elif opened.status != OK:
                raise self._line.refused("GET", to, opened)
            if start > offset:
                raise TransferError(
                    f"{self._line.what('GET', to)}: it was asked for from byte {offset} on "
                    "and does not come from there: try again later"
                )
            yield start, parts

    async def referrers(self, digest: str) -> list[Descriptor]:
        """Return the manifests whose subject has a digest."""
        api = await self._session.patience.retried(lambda: listed(self._line, digest))
        return await self._tagged(digest) if api is None else api

    async def _tagged(self, digest: str) -> list[Descriptor]:
        tag = referrers_tag(digest)
        return (await self.manifest(tag)).children if await self.digest_of(tag) else []

    async def has_blob(self, blob: Descriptor) -> bool:
        """Say whether a blob is here."""
        return await self._session.patience.retried(lambda: self._has(blob))

    async def receive(
        self, blob: Descriptor, source: Store, moved: Callable[[int], None]
    ) -> Received:
        """Take a blob from another store, by mounting it if it is in this registry."""
        key = (self._reference.registry, blob.digest)
        async with self._session.locks[key]:
            received = await self._session.patience.retried(
                lambda: self._received(blob, source, moved)
            )
            self._session.homes.setdefault(key, self._reference.repository)
        return received

    async def _received(
        self, blob: Descriptor, source: Store, moved: Callable[[int], None]
    ) -> Received:
        if await self._has(blob):
            moved(blob.size)
            return Received(Arrival.PRESENT, blob.size)
        key = (self._reference.registry, blob.digest)
        home = self._session.homes.get(key, self._beside)
        upload = await begun(self._line, blob.digest, home)
        if upload is None:
            moved(blob.size)
            return Received(Arrival.MOUNTED, blob.size)
        sent = 0

        def count(size: int) -> None:
            nonlocal sent
            sent += size
            moved(size)

        download = Download(source, blob, self._session.patience)
        try:
            await upload.send(blob, download.parts(), count)
        except TransferError:
            moved(-sent)
            raise
        return Received(Arrival.SENT, blob.size, blob.size)

    async def _has(self, blob: Descriptor) -> bool:
        to = f"blobs/{blob.digest}"
        reply = await self._line.fetch("HEAD", to)
        if reply.status not in (OK, NOT_FOUND):
            raise self._line.refused("HEAD", to, reply)
        return reply.status == OK

    async def put_manifest(self, manifest: Manifest, name: str) -> None:
        """Keep a manifest under a name, and look whether it is there then.

        Raises:
            SparseIndexError: It is an index, and what it lists is looked for.
        """
        await self._session.patience.retried(lambda: self._put(manifest, name))
        digest = await self.digest_of(name)
        if digest != manifest.digest:
            raise WrongContentError(
                f"{self._reference.name} has {digest or 'nothing'} under {name} after "
                f"{manifest.digest} was put there: something else writes it too, or the "
                "registry does not keep what it is given"
            )

    async def _put(self, manifest: Manifest, name: str) -> None:
        to = f"manifests/{name}"
        headers = {"Content-Type": manifest.media_type}
        reply = await self._line.fetch("PUT", to, headers, content=manifest.content)
        if reply.status not in (OK, CREATED):
            failure = self._line.refused("PUT", to, reply)
            if manifest.is_index and reply.status in LACKING:
                raise SparseIndexError(str(failure))
            raise failure
        if "OCI-Subject" in reply.headers:
            self._linked.add(manifest.digest)

    async def add_referrer(self, referrer: Manifest) -> None:
        """List a manifest under the tag of its subject, unless the registry does so itself."""
        subject = referrer.subject
        if referrer.digest in self._linked:
            return
        session = self._session
        if await session.patience.retried(lambda: listed(self._line, subject)) is not None:
            return
        tag = referrers_tag(subject)
        async with session.locks[self._reference.name, tag]:
            known = await self._tagged(subject)
            if referrer.digest not in {each.digest for each in known}:
                await self.put_manifest(index_of([*known, referrer.described()]), tag)

    async def finish(self, root: Manifest) -> None:
        """Do nothing: what was put under its name is whole."""


def found(reply: Reply, name: str) -> CheckResult:
    """Return what an answer says of the manifest that goes by a name."""
    return interpret_response(reply.status, reply.headers, name if is_digest(name) else "")
