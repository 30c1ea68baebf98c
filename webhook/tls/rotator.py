"""Carries out the rotation: maintains the CA in the cluster and this replica's certificate.

`Rotator.run` creates and replaces the CA in the Secret, has the API server trust it, and
hands over each new certificate of this replica::

    rotator = Rotator(
        managed,
        webhook.kube.connect(),
        clock=lambda: datetime.now(UTC),
        on_certificate=serving.use,
        on_status=lambda status: ...,
        log=log,
    )
    await rotator.run()

Until the first certificate comes, serve with a self-signed one, and report the replica as ready
only when `RotationStatus.ready` is true.

`webhook.tls.rotation` decides what to do. A round reads the configuration first and the
Secret after it, and writes each only if it is unchanged since it was read. So the bundle
that a round publishes is never older than the one it replaces, however many replicas race,
and whatever their watches miss.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from webhook.kube import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from webhook.tls.ca import create_ca
from webhook.tls.ca_secret import SECRET_TYPE, CASecret, get_fingerprint
from webhook.tls.certificate import CertificateError
from webhook.tls.rotation import IssuedCertificate, PublishedCAs, Rotation, SecretChange

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography import x509

    from webhook.kube import Secret, WebhookConfiguration
    from webhook.kube.cluster import Cluster
    from webhook.tls.ca import CertificateAuthority
    from webhook.tls.certificate import Certificate

__all__ = [
    "EventLog",
    "ManagedCertificate",
    "RotationStatus",
    "Rotator",
    "RotatorPace",
    "RoundResult",
]

DISPUTE_COUNT: Final = 5
DISPUTE_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class ManagedCertificate:
    """The cluster objects behind a certificate that the replicas maintain themselves.

    Attributes:
        secret_namespace: Namespace of the Secret with the CA.
        secret_name: Name of that Secret.
        service_namespace: Namespace of the Service that the API server calls.
        service_name: Name of that Service.
        configuration: Name of the MutatingWebhookConfiguration that has to trust the CA.
    """

    secret_namespace: str
    secret_name: str
    service_namespace: str
    service_name: str
    configuration: str

    @property
    def host_names(self) -> tuple[str, ...]:
        """The host names of the Service; the API server uses the first."""
        service = f"{self.service_name}.{self.service_namespace}"
        return f"{service}.svc", f"{service}.svc.cluster.local", service


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """The status of this replica's certificate.

    Attributes:
        ready: Whether the API server trusts it, or has no webhook configuration.
        reason: Why it is not ready, as the end of "the replica is not ready: …"; empty if
            it is.
        problems: Current problems, in sentences. The replica can be ready in spite of them,
            for as long as its certificate lasts.
        ca_expires_at: When the CA of the certificate expires.
    """

    ready: bool
    reason: str
    problems: tuple[str, ...] = ()
    ca_expires_at: datetime | None = None


class EventLog(Protocol):
    """Logs events with their fields."""

    def info(self, event: str, **fields: Any) -> None:
        """Log an event of normal operation."""

    def warning(self, event: str, **fields: Any) -> None:
        """Log an event that somebody should look at."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """The result of a round.

    Attributes:
        problems: What went wrong, in sentences.
        overtaken: Another replica was faster: start another round at once.
        unavailable: The API server did not answer.
        disputed: Something else keeps changing the bundles that are published.
    """

    problems: tuple[str, ...] = ()
    overtaken: bool = False
    unavailable: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class RotatorPace:
    """Seconds between two rounds.

    Attributes:
        look: The most, because a watch may miss a change and a clock may jump.
        pause: The least.
        overtaken: After another replica was faster.
        dispute: The least, when something else keeps changing the bundles.
        retry: After the first failure to reach the API server; doubled for each further one.
        longest_retry: After many of them.
    """

    look: float = 30.0
    pause: float = 0.5
    overtaken: float = 0.1
    dispute: float = 5.0
    retry: float = 1.0
    longest_retry: float = 30.0

    def get_pause(self, result: RoundResult, failures: int) -> tuple[float, float]:
        """Return how long to wait after a round, at least and at most.

        Args:
            result: The result of the round.
            failures: How many times in a row the API server was not reached.
        """
        if result.overtaken:
            return self.overtaken, self.overtaken
        least = self.dispute if result.disputed else self.pause
        if result.unavailable:
            return least, min(self.retry * 2.0 ** min(failures - 1, 30), self.longest_retry)
        return least, self.look


class Rotator:
    """Maintains the CA and this replica's certificate.

    Args:
        managed: The cluster objects.
        cluster: Reads and writes them.
        clock: Returns the time.
        on_certificate: Called with each new certificate of this replica.
        on_status: Called with the first status and with each change of it.
        log: Logs what is done, and problems when they begin and end.
        stopwatch: Returns monotonic seconds.
        rotation: The lifetimes.
        pace: How often to run a round.

    Attributes:
        current: The certificate in use.
    """

    def __init__(
        self,
        managed: ManagedCertificate,
        cluster: Cluster,
        *,
        clock: Callable[[], datetime],
        on_certificate: Callable[[Certificate], None],
        on_status: Callable[[RotationStatus], None],
        log: EventLog,
        stopwatch: Callable[[], float] = time.monotonic,
        rotation: Rotation | None = None,
        pace: RotatorPace | None = None,
    ) -> None:
        self._managed = managed
        self._cluster = cluster
        self._clock = clock
        self._on_certificate = on_certificate
        self._on_status = on_status
        self._log = log
        self._stopwatch = stopwatch
        self._rotation = rotation or Rotation()
        self._pace = pace or RotatorPace()
        self._secret = CASecret()  # as it was last seen with a CA that can sign
        self._published: PublishedCAs | None = None
        self._has_read_configuration = False
        self._trusted_since: dict[str, float] = {}
        self._disputes = _DisputeDetector(managed.configuration)
        self.current: IssuedCertificate | None = None

    @property
    def authorities(self) -> tuple[CertificateAuthority, ...]:
        """The CAs of the Secret that can sign, oldest first, as they were last seen."""
        return self._secret.authorities

    async def run(self) -> None:
        """Run rounds until cancelled; no error of the cluster ends it."""
        managed, cluster = self._managed, self._cluster
        changed = asyncio.Event()
        reported: RotationStatus | None = None
        failures = 0
        with ExitStack() as stack:
            watches = [
                stack.enter_context(watch)
                for watch in (
                    cluster.watch_webhook_configuration(managed.configuration, changed.set),
                    cluster.watch_secret(
                        managed.secret_namespace, managed.secret_name, changed.set
                    ),
                )
            ]
            while True:
                changed.clear()
                result = await self.run_round()
                failures = failures + 1 if result.unavailable else 0
                watch_problems = tuple(watch.problem for watch in watches if watch.problem)
                status = self.get_status((*result.problems, *watch_problems))
                # A replica that was overtaken has seen an old state.
                if status != reported and not result.overtaken:
                    self._log_change(reported, status)
                    self._on_status(status)
                    reported = status
                least, most = self._pace.get_pause(result, failures)
                await asyncio.sleep(least)
                with suppress(TimeoutError):
                    async with asyncio.timeout(most - least):
                        await changed.wait()

    async def run_round(self) -> RoundResult:
        """Read both objects, and do what is due."""
        problems: list[str] = []
        overtaken = unavailable = False
        try:
            await self._reconcile(problems)
        except (ConflictError, NotFoundError):
            overtaken = True
        except UnavailableError as error:
            problems.append(str(error))
            unavailable = True
        self._sign()
        dispute = self._disputes.get_problem(self._stopwatch())
        if dispute:
            problems.append(dispute)
        return RoundResult(tuple(problems), overtaken, unavailable, bool(dispute))

    def get_status(self, problems: tuple[str, ...]) -> RotationStatus:
        """Return the status of the certificate, with the current problems."""
        reason = self._find_reason()
        expiry = self.current.issuer.not_valid_after_utc if self.current else None
        return RotationStatus(not reason, reason, problems, expiry)

    def _find_reason(self) -> str:
        """Return why the replica is not ready; empty if it is."""
        if self.current is None:
            return "it has no certificate yet"
        problem = self.current.certificate.problem_at(self._clock())
        if problem:
            return f"its certificate {problem}"
        if not self._has_read_configuration:
            return "it could not find out yet whether the API server trusts its certificate"
        published = self._published
        if published and get_fingerprint(self.current.issuer) not in published.trusted:
            name = self._managed.configuration
            return f"MutatingWebhookConfiguration {name} does not trust its certificate yet"
        return ""

    async def _reconcile(self, problems: list[str]) -> None:
        """Change the Secret if needed, and then the configuration."""
        configuration = await self._read_configuration(problems)
        published = self._published or PublishedCAs()
        try:
            secret = await self._reconcile_secret(published)
        except (ForbiddenError, RefusedError, CertificateError) as error:
            problems.append(str(error))
            # The CAs in memory sign on, and all CAs stay trusted meanwhile.
            secret = self._secret.merge(published.certificates)
        if configuration:
            try:
                await self._publish(configuration, secret)
            except (ForbiddenError, RefusedError) as error:
                problems.append(str(error))

    async def _read_configuration(self, problems: list[str]) -> WebhookConfiguration | None:
        """Return the configuration if it has webhooks whose CA the replicas set."""
        name = self._managed.configuration
        try:
            configuration = await self._cluster.get_webhook_configuration(name)
        except (ForbiddenError, RefusedError) as error:
            problems.append(str(error))
            return None
        if configuration is not None and not configuration.ca_bundles:
            configuration = None
        self._note_published(configuration)
        if configuration is not None and configuration.has_external_ca:
            # By an upgrade to another mode; this replica goes when its successor is ready.
            problems.append(f"something else sets the CA of MutatingWebhookConfiguration {name}")
            return None
        return configuration

    def _note_published(self, configuration: WebhookConfiguration | None) -> None:
        """Remember what the API server trusts, and since when."""
        self._has_read_configuration = True
        self._published = PublishedCAs.parse(configuration.ca_bundles) if configuration else None
        trusted = self._published.trusted if self._published else frozenset()
        now = self._stopwatch()
        self._trusted_since = {each: self._trusted_since.get(each, now) for each in trusted}

    def _find_trusted_for(self, seconds: float) -> set[str]:
        """Return the fingerprints of the CAs trusted for that long."""
        since = self._stopwatch() - seconds
        return {each for each, seen in self._trusted_since.items() if seen <= since}

    async def _reconcile_secret(self, published: PublishedCAs) -> CASecret:
        """Change or create the Secret if needed, and return the CAs in it."""
        namespace, name = self._managed.secret_namespace, self._managed.secret_name
        existing = await self._cluster.get_secret(namespace, name)
        if existing is not None and existing.type != SECRET_TYPE:
            raise CertificateError(
                f"Secret {namespace}/{name} has the type {existing.type}, not {SECRET_TYPE}: "
                "delete it, or use another name"
            )
        now = self._clock()
        secret = CASecret.parse(existing.data) if existing else CASecret()
        if secret.find_usable(now):
            self._secret = secret
        proven = self._find_trusted_for(self._rotation.prove_seconds)
        change = self._rotation.plan_secret_change(secret, published, proven, now)
        if change:
            secret = self._secret = await self._change_secret(existing, change)
        return secret

    async def _change_secret(self, existing: Secret | None, change: SecretChange) -> CASecret:
        namespace, name = self._managed.secret_namespace, self._managed.secret_name
        wanted = change.keep
        if change.add_ca:
            now = self._clock()
            ca = create_ca(f"mirrorhook CA {now:%Y-%m-%d}", now, self._rotation.ca_lifetime)
            wanted = wanted.merge(authorities=[ca])
        data = wanted.encode()
        if existing is None:
            event = "Secret created with a CA"
            secret = await self._cluster.create_secret(namespace, name, SECRET_TYPE, data)
        else:
            event = "CA added to the Secret" if change.add_ca else "CAs of the Secret changed"
            secret = await self._cluster.patch_secret(existing, data)
        self._log.info(
            event,
            secret=f"{namespace}/{name}",
            reason=change.reason,
            cas=len(wanted.certificates),
        )
        return CASecret.parse(secret.data)

    async def _publish(self, configuration: WebhookConfiguration, secret: CASecret) -> None:
        """Have the API server trust the CAs of the Secret."""
        bundle = self._rotation.plan_ca_bundle(secret, configuration.ca_bundles, self._clock())
        if bundle is not None:
            configuration = await self._cluster.patch_ca_bundles(configuration, bundle)
            self._note_published(configuration)
            self._log.info(
                "CAs published",
                configuration=configuration.name,
                webhooks=len(configuration.ca_bundles),
                cas=len(secret.certificates),
            )
        self._disputes.note(secret, self._stopwatch(), published=bundle is not None)
        if configuration.other_managers != configuration.field_managers:
            await self._cluster.disown_ca_bundles(configuration)

    def _sign(self) -> None:
        """Give this replica a new certificate if one is due."""
        settled = self._find_trusted_for(self._rotation.settle_seconds)
        now = self._clock()
        choice = self._rotation.choose_ca(self._secret, self._published, settled, self.current, now)
        if choice is None:
            return
        ca, reason = choice
        lifetime = self._rotation.certificate_lifetime
        certificate = ca.issue(self._managed.host_names, now, lifetime)
        self._on_certificate(certificate)
        self.current = IssuedCertificate(certificate, ca.certificate)
        self._log.info(
            "certificate signed",
            reason=reason,
            expires=certificate.expires_at,
            ca_expires=ca.certificate.not_valid_after_utc,
        )

    def _log_change(self, before: RotationStatus | None, after: RotationStatus) -> None:
        old = before.problems if before else ()
        for problem in after.problems:
            if problem not in old:
                self._log.warning("certificate rotation has a problem", problem=problem)
        if old and not after.problems:
            self._log.info("certificate rotation works again")
        if not after.ready and (before is None or after.reason != before.reason):
            self._log.warning("certificate not ready", reason=after.reason)


class _DisputeDetector:
    """Notices that something else keeps changing the published bundles.

    Args:
        configuration: Name of the webhook configuration.
    """

    def __init__(self, configuration: str) -> None:
        self._configuration = configuration
        self._certificates: tuple[x509.Certificate, ...] = ()
        self._times: deque[float] = deque(maxlen=DISPUTE_COUNT)

    def note(self, secret: CASecret, now: float, *, published: bool) -> None:
        """Note whether the CAs of the Secret had to be published, again if they are the same."""
        if published and secret.certificates == self._certificates:
            self._times.append(now)
        self._certificates = secret.certificates

    def get_problem(self, now: float) -> str:
        """Return a sentence if they were published too often of late."""
        if len(self._times) < DISPUTE_COUNT or now - self._times[0] >= DISPUTE_SECONDS:
            return ""
        return (
            f"the caBundle of MutatingWebhookConfiguration {self._configuration} "
            f"was changed back {DISPUTE_COUNT} times within {DISPUTE_SECONDS:.0f} seconds: "
            "something else sets it too, such as GitOps or cert-manager's cainjector"
        )
