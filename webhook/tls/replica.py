"""One replica's part in keeping the certificates: its rounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.kube import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from webhook.tls.authority import (
    Change,
    Leaf,
    Published,
    Timing,
    bundle_to_publish,
    change_of_secret,
    signing,
)
from webhook.tls.errors import CertificateError
from webhook.tls.issuing import new_authority
from webhook.tls.place import Standing
from webhook.tls.repairs import Repairs
from webhook.tls.stored import SECRET_TYPE, Stored, contents_of, fingerprint, stored_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from webhook.kube import Secret, WebhookConfiguration
    from webhook.tls.pair import KeyPair
    from webhook.tls.place import Cluster, Log, Place

__all__ = ["Replica", "Round"]


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a round.

    Attributes:
        problems: What went wrong, in sentences.
        overtaken: Another replica was faster: look again at once.
        unavailable: The API server cannot be asked now.
        disputed: Somebody else keeps changing what we publish.
    """

    problems: tuple[str, ...] = ()
    overtaken: bool = False
    unavailable: bool = False
    disputed: bool = False


class Replica:
    """What this replica knows, and what it does about it.

    Args:
        place: The objects to look after.
        cluster: Where they are.
        clock: Gives the time.
        stopwatch: Gives seconds that only ever go forward.
        timing: How long things last.
        on_pair: Takes each new certificate.
        log: Notes what is done.

    Attributes:
        leaf: The certificate in use.
    """

    def __init__(
        self,
        place: Place,
        cluster: Cluster,
        *,
        clock: Callable[[], datetime],
        stopwatch: Callable[[], float],
        timing: Timing,
        on_pair: Callable[[KeyPair], None],
        log: Log,
    ) -> None:
        self._place = place
        self._cluster = cluster
        self._clock = clock
        self._stopwatch = stopwatch
        self._timing = timing
        self._on_pair = on_pair
        self._log = log
        self._stored = Stored()
        self.leaf: Leaf | None = None
        self._published: Published | None = None
        self._asked = False
        self._trusted_since: dict[str, float] = {}
        self._repairs = Repairs(place.configuration)

    async def round(self) -> Round:
        """Look at both objects, and do what is to be done."""
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
        dispute = self._repairs.problem(self._stopwatch())
        if dispute:
            problems.append(dispute)
        return Round(tuple(problems), overtaken, unavailable, bool(dispute))

    def standing(self, problems: tuple[str, ...]) -> Standing:
        """Say how things stand.

        Args:
            problems: What goes wrong at the moment.
        """
        leaf = self.leaf
        reason = self._reason(leaf)
        expiry = leaf.issuer.not_valid_after_utc if leaf else None
        return Standing(not reason, reason, problems, expiry)

    def _reason(self, leaf: Leaf | None) -> str:
        if leaf is None:
            return "it has no certificate yet"
        problem = leaf.pair.problem_at(self._clock())
        if problem:
            return f"its certificate {problem}"
        if not self._asked:
            return "it could not be asked yet whether its certificate is trusted"
        published = self._published
        if published and fingerprint(leaf.issuer) not in published.trusted:
            name = self._place.configuration
            return f"MutatingWebhookConfiguration {name} does not trust its certificate yet"
        return ""

    async def _reconcile(self, problems: list[str]) -> None:
        """Bring the Secret into order, and then the configuration.

        Raises:
            ClusterError: The API server is away, or another replica was faster.
        """
        registration = await self._read_registration(problems)
        known = self._published or Published()
        try:
            wanted = await self._tidied(known)
        except (ForbiddenError, RefusedError, CertificateError) as error:
            problems.append(str(error))
            # What we remember signs on, and nothing is distrusted meanwhile.
            wanted = self._stored.merged(known.certificates)
        if registration:
            try:
                await self._publish(registration, wanted)
            except (ForbiddenError, RefusedError) as error:
                problems.append(str(error))

    async def _read_registration(self, problems: list[str]) -> WebhookConfiguration | None:
        """Return the configuration, if there is one with webhooks."""
        try:
            registration = await self._cluster.get_webhook_configuration(self._place.configuration)
        except (ForbiddenError, RefusedError) as error:
            problems.append(str(error))
            return None
        if registration is not None and not registration.ca_bundles:
            registration = None
        self._note(registration)
        return registration

    def _note(self, registration: WebhookConfiguration | None) -> None:
        """Note what the API server trusts, and since when."""
        self._asked = True
        self._published = Published.read(registration.ca_bundles) if registration else None
        trusted = self._published.trusted if self._published else frozenset()
        now = self._stopwatch()
        self._trusted_since = {each: self._trusted_since.get(each, now) for each in trusted}

    def _trusted_for(self, seconds: float) -> set[str]:
        """Return the fingerprints of what has been trusted for so long."""
        since = self._stopwatch() - seconds
        return {each for each, seen in self._trusted_since.items() if seen <= since}

    async def _tidied(self, known: Published) -> Stored:
        """Bring the Secret into order, and return what is in it then.

        Args:
            known: What the API server trusts, as far as it is known.

        Raises:
            CertificateError: It is the Secret of somebody else.
            ClusterError: It cannot be read or changed.
        """
        place = self._place
        secret = await self._cluster.get_secret(place.secret_namespace, place.secret_name)
        if secret is not None and secret.type != SECRET_TYPE:
            raise CertificateError(
                f"Secret {place.secret_namespace}/{place.secret_name} is not ours: "
                f"its type is {secret.type}, not {SECRET_TYPE}; "
                "delete it, or have another one used"
            )
        now = self._clock()
        stored = stored_in(secret.data) if secret else Stored()
        if stored.usable(now):
            self._stored = stored
        proven = self._trusted_for(self._timing.proving)
        change = change_of_secret(stored, known, proven, now, self._timing)
        if change:
            stored = self._stored = await self._changed(secret, change)
        return stored

    async def _changed(self, secret: Secret | None, change: Change) -> Stored:
        """Change the Secret, or make it, and return what is in it then."""
        place = self._place
        wanted = change.keep
        if change.renew:
            now = self._clock()
            name = f"mirrorhook CA {now:%Y-%m-%d}"
            made = new_authority(name, now, self._timing.authority_life)
            wanted = wanted.merged(authorities=[made])
        contents = contents_of(wanted)
        event = "CA added to the Secret" if change.renew else "CAs of the Secret changed"
        if secret is None:
            event = "Secret made with a CA"
            secret = await self._cluster.create_secret(
                place.secret_namespace, place.secret_name, SECRET_TYPE, contents
            )
        else:
            secret = await self._cluster.patch_secret(secret, contents)
        self._log.info(
            event,
            secret=f"{place.secret_namespace}/{place.secret_name}",
            reason=change.reason,
            authorities=len(wanted.certificates),
        )
        return stored_in(secret.data)

    async def _publish(self, registration: WebhookConfiguration, wanted: Stored) -> None:
        """Have the API server trust those CAs."""
        bundle = bundle_to_publish(wanted, registration.ca_bundles, self._clock())
        if bundle is not None:
            self._note(await self._cluster.patch_ca_bundles(registration, bundle))
            self._log.info(
                "CAs published",
                configuration=registration.name,
                webhooks=len(registration.ca_bundles),
                authorities=len(wanted.certificates),
            )
        self._repairs.note(wanted, self._stopwatch(), published=bundle is not None)

    def _sign(self) -> None:
        """Give this replica a new certificate, if it is time."""
        settled = self._trusted_for(self._timing.settling)
        now = self._clock()
        choice = signing(self._stored, self._published, settled, self.leaf, now, self._timing)
        if choice is None:
            return
        authority, reason = choice
        pair = authority.issue(self._place.names, now, self._timing.leaf_life)
        self._on_pair(pair)
        self.leaf = Leaf(pair, authority.certificate)
        self._log.info(
            "certificate signed",
            reason=reason,
            expires=pair.expires_at,
            authority_expires=authority.certificate.not_valid_after_utc,
        )
