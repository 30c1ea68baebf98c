"""A serving certificate in files, as cert-manager or a person puts them there.

Mounted Secrets change by the swap of one symbolic link, ``..data``: both files are
read through where it points at one moment, so that they are of one pair. File
systems that hold Secrets send no events for them that can be relied on, so the files
are read again every few seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.tls.errors import CertificateError
from webhook.tls.pair import KeyPair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

__all__ = ["CertificateFiles"]

POLL_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The two files of a serving certificate.

    Attributes:
        certificate: PEM file of the certificate, with those that lead to its CA.
        key: PEM file of its private key.
    """

    certificate: Path
    key: Path

    def read(self, now: datetime) -> KeyPair:
        """Read both files.

        Args:
            now: The time; a certificate that has expired, or is for later, is refused.

        Raises:
            CertificateError: The message names the file and what is wrong with it.
        """
        certificate, key = self._contents()
        pair = KeyPair.read(
            certificate,
            key,
            certificate_source=str(self.certificate),
            key_source=str(self.key),
        )
        problem = pair.problem_at(now)
        if problem:
            raise CertificateError(f"{self.certificate} {problem}")
        return pair

    async def watch(
        self,
        used: KeyPair,
        clock: Callable[[], datetime],
        *,
        interval: float = POLL_SECONDS,
    ) -> AsyncIterator[KeyPair | CertificateError]:
        """Give every change of the files: a pair to be used, or what is wrong with them.

        A problem is given once, and not before a second look has found it too: files
        that are written one after the other do not match in between. A certificate
        for later is given when its time has come.

        Args:
            used: The pair in use.
            clock: Gives the time.
            interval: Seconds between two looks.
        """
        seen = reported = ""
        while True:
            await asyncio.sleep(interval)
            try:
                pair = await asyncio.to_thread(self.read, clock())
            except CertificateError as error:
                again, seen = str(error) == seen, str(error)
                if again and seen != reported:
                    reported = seen
                    yield error
                continue
            seen = reported = ""
            if pair != used:
                used = pair
                yield pair

    def _contents(self) -> tuple[bytes, bytes]:
        """Return the contents of both, of one moment.

        Raises:
            CertificateError: One cannot be read.
        """
        paths = self._paths()
        while True:
            try:
                return paths[0].read_bytes(), paths[1].read_bytes()
            except OSError as error:
                tried, paths = paths, self._paths()
                # What the link led to may be gone since; then it leads elsewhere now.
                if paths == tried:
                    file = self.key if error.filename == str(paths[1]) else self.certificate
                    raise CertificateError(f"cannot read {file}: {error.strerror}") from None

    def _paths(self) -> tuple[Path, Path]:
        """Return where both lie at this moment."""
        moment = (self.certificate.parent / "..data").resolve()
        paths = moment / self.certificate.name, moment / self.key.name
        mounted = self.key.parent == self.certificate.parent
        if mounted and all(path.exists() for path in paths):
            return paths
        return self.certificate, self.key
