"""The certificate that reviews are served with, and what keeps it fresh."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from webhook.kube import connect
from webhook.tls import (
    CertificateError,
    CertificateFiles,
    KeyPair,
    Place,
    ServingContext,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from webhook.kube.cluster import Cluster
    from webhook.server.readiness import Readiness
    from webhook.server.settings import ServerSettings
    from webhook.telemetry import Log, Metrics
    from webhook.tls import Standing

__all__ = ["ServingCertificate", "serving_certificate"]

PART: Final = "certificate"
RENEWAL: Final = timedelta(days=300)  # of the year that a self-made one lasts


class ServingCertificate(Protocol):
    """A certificate in use; ``str()`` says in a few words where it comes from."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context to accept connections with, now and after every change."""
        ...

    @property
    def expires_at(self) -> datetime:
        """When the one in use expires."""
        ...

    async def follow(self) -> None:
        """Take up changes until cancelled."""
        ...


class Use:
    """Has a certificate served with, logged and counted.

    Args:
        pair: The certificate to begin with.
        log: Notes changes.
        metrics: Counts changes, and tells the expiry.

    Raises:
        CertificateError: It cannot be served with.
    """

    def __init__(self, pair: KeyPair, log: Log, metrics: Metrics) -> None:
        self._log = log
        self._metrics = metrics
        self.serving = ServingContext(pair)
        self._note(pair, "certificate loaded")

    def take(self, change: KeyPair | CertificateError) -> None:
        """Serve with another certificate; with what cannot be used, the old one stays."""
        if isinstance(change, KeyPair):
            try:
                self.serving.use(change)
            except CertificateError as error:
                change = error
            else:
                self._note(change, "certificate replaced")
                return
        self._metrics.record_refused_certificate()
        self._log.error("certificate refused, the old one stays in use", problem=str(change))

    def _note(self, pair: KeyPair, event: str) -> None:
        self._metrics.record_certificate(pair.expires_at.timestamp())
        self._log.info(event, names=pair.names, expires=pair.expires_at.isoformat())


class Served:
    """A certificate that is served with, wherever it comes from."""

    def __init__(self, use: Use) -> None:
        self._use = use

    @property
    def context(self) -> ssl.SSLContext:
        """The context to accept connections with."""
        return self._use.serving.context

    @property
    def expires_at(self) -> datetime:
        """When the one in use expires."""
        return self._use.serving.pair.expires_at


class FromFiles(Served):
    """A certificate that others put into files."""

    def __init__(self, files: CertificateFiles, use: Use, clock: Callable[[], datetime]) -> None:
        super().__init__(use)
        self._files = files
        self._clock = clock

    def __str__(self) -> str:
        return f"certificate of {self._files.certificate}"

    async def follow(self) -> None:
        """Take up every change of the files."""
        async for change in self._files.watch(self._use.serving.pair, self._clock):
            self._use.take(change)


class SelfMade(Served):
    """A certificate of our own making, kept in memory and trusted by nobody."""

    def __init__(
        self,
        use: Use,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(use)
        self._clock = clock
        self._sleep = sleep

    def __str__(self) -> str:
        return "self-made certificate, which clients cannot verify"

    async def follow(self) -> None:
        """Make another one before it expires."""
        while True:
            await self._sleep(RENEWAL.total_seconds())
            self._use.take(made_for(own_names(), self._clock()))


class Managed(Served):
    """A certificate signed by a CA that all replicas share, and that the cluster trusts.

    Until it is there, a self-made one serves, and the replica is not ready.
    """

    def __init__(
        self,
        place: Place,
        cluster: Cluster,
        *,
        use: Use,
        log: Log,
        readiness: Readiness,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__(use)
        self._place = place
        self._cluster = cluster
        self._log = log
        self._readiness = readiness
        self._clock = clock
        readiness.hold(PART, "there is none yet")

    def __str__(self) -> str:
        secret = f"{self._place.secret_namespace}/{self._place.secret_name}"
        return f"certificate by the CA in Secret {secret}"

    async def follow(self) -> None:
        """Look after CA and certificate."""
        from webhook.tls.keeping import keep  # noqa: PLC0415 - see webhook.tls

        await keep(
            self._place,
            self._cluster,
            clock=self._clock,
            on_pair=self._use.take,
            on_standing=self._stands,
            log=self._log,
        )

    def _stands(self, standing: Standing) -> None:
        if standing.ready:
            self._readiness.clear(PART)
        else:
            self._readiness.hold(PART, standing.reason)


def serving_certificate(
    settings: ServerSettings,
    *,
    log: Log,
    metrics: Metrics,
    readiness: Readiness,
    clock: Callable[[], datetime],
) -> ServingCertificate:
    """Return the certificate that *settings* ask for.

    Args:
        settings: Say whether it is in files, looked after in the cluster, or self-made.
        log: Notes changes.
        metrics: Counts changes, and tells the expiry.
        readiness: Is held until a certificate of the cluster is trusted.
        clock: Gives the time.

    Raises:
        CertificateError: The files cannot be used.
        ClusterError: It cannot be told where the cluster is.
    """
    if settings.certificate and settings.key:
        files = CertificateFiles(settings.certificate, settings.key)
        return FromFiles(files, Use(files.read(clock()), log, metrics), clock)
    if settings.managed is None:
        return SelfMade(Use(made_for(own_names(), clock()), log, metrics), clock)
    place = settings.managed
    cluster = connect()
    return Managed(
        place,
        cluster,
        use=Use(made_for(place.names, clock()), log, metrics),
        log=log,
        readiness=readiness,
        clock=clock,
    )


def made_for(names: Sequence[str], now: datetime) -> KeyPair:
    """Return a certificate of our own making."""
    from webhook.tls.issuing import self_signed  # noqa: PLC0415 - see webhook.tls

    pair, _ = self_signed(names, now=now)
    return pair


def own_names() -> tuple[str, ...]:
    """Return the names that this machine is reached by from itself."""
    return tuple(dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname())))
