"""The serving certificate, from one of three sources: files, self-signed, or a shared CA."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from webhook.kube import connect
from webhook.tls import (
    AllowedClients,
    Certificate,
    CertificateError,
    CertificateFiles,
    ManagedCertificate,
    Rotator,
    Seal,
    ServingContext,
    create_self_signed,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from webhook.kube.cluster import Cluster
    from webhook.server.readiness import Readiness
    from webhook.server.settings import ServerSettings
    from webhook.telemetry import Log, Metrics
    from webhook.tls import RotationStatus

__all__ = [
    "FileCertificate",
    "RotatedCertificate",
    "SelfSignedCertificate",
    "ServingCertificate",
    "create_serving_certificate",
]

PART: Final = "certificate"
CLIENT_SECONDS: Final = 5.0
RENEWAL: Final = timedelta(days=300)  # a self-signed certificate lasts a year


class ServingCertificate(ABC):
    """The certificate of the webhook's port; ``str()`` describes its source.

    Args:
        certificate: The first certificate.
        log: Logs changes.
        metrics: Counts changes, and exports the expiry.

    Raises:
        CertificateError: OpenSSL refuses the certificate.

    Attributes:
        serving: The TLS context, with the certificate in use.
    """

    def __init__(self, certificate: Certificate, *, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self.serving = ServingContext(certificate)
        self._record(certificate, "certificate loaded")

    @property
    def context(self) -> ssl.SSLContext:
        """The context to accept connections with, now and after every change."""
        return self.serving.context

    def find_client_problem(self, certificate: Mapping[str, Any] | None) -> str:
        """Return why a client may not send reviews; empty if it may.

        Args:
            certificate: Its certificate, as `ssl` decodes it.
        """
        clients = self.serving.clients
        return clients.find_problem(certificate) if clients else ""

    def allow(self, clients: AllowedClients) -> None:
        """Accept only these clients from now on."""
        self.serving.allow(clients)
        self._log.info("client CA loaded", names=sorted(clients.names))

    async def follow_clients(self, path: Path, *, interval: float = CLIENT_SECONDS) -> None:
        """Reload the file of client CAs whenever it changes, until cancelled."""
        reported = ""
        while True:
            await asyncio.sleep(interval)
            current = self.serving.clients
            names = current.names if current else frozenset()
            try:
                clients = await asyncio.to_thread(AllowedClients.read, path, names)
            except CertificateError as error:
                if str(error) != reported:
                    reported = str(error)
                    self._log.error("client CA refused; the old one stays in use", problem=reported)
                continue
            reported = ""
            if clients != current:
                self.allow(clients)

    @property
    def seal(self) -> Seal | None:
        """What replicas encrypt messages to each other with; None if they share no CA."""
        return None

    @property
    def expires_at(self) -> datetime:
        """When the certificate in use expires."""
        return self.serving.certificate.expires_at

    @abstractmethod
    async def follow(self) -> None:
        """Serve with each new certificate, until cancelled."""

    def use(self, change: Certificate | CertificateError) -> None:
        """Serve with a new certificate; the old one stays in use if there is a problem."""
        if isinstance(change, Certificate):
            try:
                self.serving.use(change)
            except CertificateError as error:
                change = error
            else:
                self._record(change, "certificate replaced")
                return
        self._metrics.record_refused_certificate()
        self._log.error("certificate refused; the old one stays in use", problem=str(change))

    def _record(self, certificate: Certificate, event: str) -> None:
        self._metrics.record_certificate(certificate.expires_at.timestamp())
        self._log.info(event, names=certificate.names, expires=certificate.expires_at.isoformat())


class FileCertificate(ServingCertificate):
    """A certificate in files, from cert-manager or another issuer.

    Raises:
        CertificateError: The files cannot be used.
    """

    def __init__(
        self, files: CertificateFiles, *, log: Log, metrics: Metrics, clock: Callable[[], datetime]
    ) -> None:
        super().__init__(files.read(clock()), log=log, metrics=metrics)
        self._files = files
        self._clock = clock

    def __str__(self) -> str:
        return f"certificate from {self._files.chain}"

    async def follow(self) -> None:
        """Reload the files whenever they change."""
        async for change in self._files.watch(self.serving.certificate, self._clock):
            self.use(change)


class SelfSignedCertificate(ServingCertificate):
    """A self-signed certificate for this machine, kept in memory."""

    def __init__(
        self,
        *,
        log: Log,
        metrics: Metrics,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        super().__init__(self._create(), log=log, metrics=metrics)

    def __str__(self) -> str:
        return "self-signed certificate, which clients cannot verify"

    async def follow(self) -> None:
        """Create another certificate before the old one expires."""
        while True:
            await self._sleep(RENEWAL.total_seconds())
            self.use(self._create())

    def _create(self) -> Certificate:
        names = dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname()))
        certificate, _ = create_self_signed(tuple(names), now=self._clock())
        return certificate


class RotatedCertificate(ServingCertificate):
    """A certificate signed by a CA that all replicas share, and that the API server trusts.

    Until there is one, a self-signed certificate serves, and the replica is not ready.
    """

    def __init__(
        self,
        managed: ManagedCertificate,
        cluster: Cluster,
        *,
        log: Log,
        metrics: Metrics,
        readiness: Readiness,
        clock: Callable[[], datetime],
    ) -> None:
        placeholder, _ = create_self_signed(managed.host_names, now=clock())
        super().__init__(placeholder, log=log, metrics=metrics)
        self._managed = managed
        self._readiness = readiness
        self._rotator = Rotator(
            managed,
            cluster,
            clock=clock,
            on_certificate=self.use,
            on_status=self._update_readiness,
            log=log,
        )
        readiness.hold(PART, "it has not been issued yet")

    def __str__(self) -> str:
        secret = f"{self._managed.secret_namespace}/{self._managed.secret_name}"
        return f"certificate signed by the CA in Secret {secret}"

    @property
    def seal(self) -> Seal | None:
        """What replicas encrypt messages to each other with; None before there is a CA."""
        authorities = self._rotator.authorities
        return Seal(authorities) if authorities else None

    async def follow(self) -> None:
        """Maintain the CA and the certificate."""
        await self._rotator.run()

    def _update_readiness(self, status: RotationStatus) -> None:
        if status.ready:
            self._readiness.clear(PART)
        else:
            self._readiness.hold(PART, status.reason)


def create_serving_certificate(
    settings: ServerSettings,
    *,
    log: Log,
    metrics: Metrics,
    readiness: Readiness,
    clock: Callable[[], datetime],
) -> ServingCertificate:
    """Return the certificate that *settings* ask for: in files, managed, or self-signed.

    Args:
        settings: The settings of the server.
        log: Logs changes.
        metrics: Counts changes, and exports the expiry.
        readiness: Held until the API server trusts a managed certificate.
        clock: Returns the time.

    Raises:
        CertificateError: The files cannot be used.
        ClusterError: The address of the cluster is unknown.
    """
    certificate: ServingCertificate
    if settings.certificate and settings.key:
        files = CertificateFiles(settings.certificate, settings.key)
        certificate = FileCertificate(files, log=log, metrics=metrics, clock=clock)
    elif settings.managed is None:
        certificate = SelfSignedCertificate(log=log, metrics=metrics, clock=clock)
    else:
        certificate = RotatedCertificate(
            settings.managed,
            connect(),
            log=log,
            metrics=metrics,
            readiness=readiness,
            clock=clock,
        )
    if settings.client_ca is not None:
        certificate.allow(AllowedClients.read(settings.client_ca, settings.client_names))
    return certificate
