"""A serving certificate in files, from cert-manager or another issuer.

The kubelet updates a mounted Secret by swapping one symbolic link, ``..data``. Both files
are read through the same target of that link, so they belong together. File system
events are not reliable on such mounts, so the files are read every few seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from webhook.core.errors import CHECK_PATH
from webhook.tls.certificate import Certificate, CertificateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime
    from pathlib import Path

__all__ = ["CertificateFiles"]

POLL_SECONDS: Final = 5.0
RENEW: Final = "renew it, or correct the clock of this machine"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The two files of a serving certificate.

    Attributes:
        chain: PEM file of the certificate and the intermediate certificates up to its CA.
        key: PEM file of its private key.
    """

    chain: Path
    key: Path

    def read(self, now: datetime) -> Certificate:
        """Return the certificate in the files.

        Args:
            now: The time; a certificate that is not valid now is refused.

        Raises:
            CertificateError: The message names the file and its problem.
        """
        chain, key = self._read_both()
        certificate = Certificate.parse(
            chain, key, chain_source=str(self.chain), key_source=str(self.key)
        )
        problem = certificate.problem_at(now)
        if problem:
            raise CertificateError(f"{self.chain} {problem}; {RENEW}")
        return certificate

    async def watch(
        self,
        current: Certificate,
        clock: Callable[[], datetime],
        *,
        interval: float = POLL_SECONDS,
    ) -> AsyncIterator[Certificate | CertificateError]:
        """Yield each new certificate, and each new problem.

        A problem is yielded once, when two reads in a row have found it: files that are
        written one after the other do not match in between. A certificate that is not valid
        yet is yielded when it becomes valid.

        Args:
            current: The certificate in use.
            clock: Returns the time.
            interval: Seconds between two reads.
        """
        seen = reported = ""
        while True:
            await asyncio.sleep(interval)
            try:
                certificate = await asyncio.to_thread(self.read, clock())
            except CertificateError as error:
                again, seen = str(error) == seen, str(error)
                if again and seen != reported:
                    reported = seen
                    yield error
                continue
            seen = reported = ""
            if certificate != current:
                current = certificate
                yield certificate

    def _read_both(self) -> tuple[bytes, bytes]:
        paths = self._resolve()
        while True:
            try:
                return paths[0].read_bytes(), paths[1].read_bytes()
            except OSError as error:
                tried, paths = paths, self._resolve()
                # The kubelet removes the old target after a swap: then the link differs now.
                if paths == tried:
                    file = self.key if error.filename == str(paths[1]) else self.chain
                    raise CertificateError(
                        f"cannot read {file}: {error.strerror}; {CHECK_PATH}"
                    ) from None

    def _resolve(self) -> tuple[Path, Path]:
        """Return the paths of both files, past the link of a mount."""
        target = (self.chain.parent / "..data").resolve()
        paths = target / self.chain.name, target / self.key.name
        same_folder = self.key.parent == self.chain.parent
        if same_folder and all(path.exists() for path in paths):
            return paths
        return self.chain, self.key
