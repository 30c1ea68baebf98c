"""Check whether registries have images: each image once, however many reviews wait for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from webhook.registry.cache import MAX_BYTES, CheckCache
from webhook.registry.circuit_breaker import CircuitBreaker
from webhook.registry.client import create_client
from webhook.registry.client_thread import ClientThread
from webhook.registry.responses import CheckResult, CheckStatus
from webhook.registry.transport import create_pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core import Availability, ImageReference
    from webhook.registry.transport import TransportFactory

__all__ = ["CheckObserver", "ImageCheck", "ImageChecker", "NullObserver", "create_checker"]

# Registries that hang must not use up what the others need, and those that the authors of
# Pods name must not use up what those of the rules need. A request takes some 100 KB with TLS,
# a check that waits for one 3 KB.
MAX_PER_REGISTRY: Final = 64
MAX_PER_STRANGER: Final = 8
MAX_OPEN: Final = 2048
MAX_OPEN_STRANGERS: Final = 256
# Each takes up to 6 KB; more than can have an open check.
MAX_STRANGERS: Final = 512
# Images to ask for in a trial. They are in different namespaces: one author has few.
MAX_SAMPLES: Final = 3
# The registry was not asked, or did not answer.
NO_ANSWER: Final = frozenset({CheckStatus.BUSY, CheckStatus.DOWN, CheckStatus.ERROR})


@dataclass(frozen=True)
class ImageCheck:
    """The question whether a registry has an image.

    Attributes:
        reference: The image.
        target: The registry's label in metrics: the target of a mirror, or ``original``.
        is_named: Whether a rule names the registry; otherwise the author of a Pod did.
    """

    reference: ImageReference
    target: str
    is_named: bool = True

    @cached_property
    def image(self) -> str:
        """The image in normal form."""
        return str(self.reference)


class CheckObserver(Protocol):
    """Is notified of checks: writes logs or metrics, or to a terminal."""

    def on_result(self, target: str, result: CheckResult) -> None:
        """Called when a check has ended."""

    def on_circuit_change(self, registry: str, *, is_open: bool, result: CheckResult) -> None:
        """Called when the circuit breaker of a registry in the rules has opened or closed."""

    def on_error(self, image: str, error: Exception) -> None:
        """Called after an internal error, whose message may hold a secret: don't show it."""

    def on_problem(self, problem: str) -> None:
        """Called with a sentence when a file cannot be used."""


class NullObserver:
    """Ignores every notification; a base class for observers of some of them."""

    def on_result(self, target: str, result: CheckResult) -> None:
        """Do nothing."""

    def on_circuit_change(self, registry: str, *, is_open: bool, result: CheckResult) -> None:
        """Do nothing."""

    def on_error(self, image: str, error: Exception) -> None:
        """Do nothing."""

    def on_problem(self, problem: str) -> None:
        """Do nothing."""


class ImageClient(Protocol):
    """Sends the requests of image checks."""

    async def check_image(self, reference: ImageReference, *, is_named: bool = True) -> CheckResult:
        """Return whether a registry has an image."""

    async def check_registry(self, registry: str) -> CheckResult:
        """Return what a registry answers to a request for no image."""

    async def close(self) -> None:
        """Close every connection."""


@dataclass(slots=True)
class _Registry:
    """What is known about a registry, besides its images.

    Attributes:
        name: Its name.
        is_named: Whether a rule names it.
        slots: Limits the requests at once.
        breaker: Its circuit breaker.
        samples: By namespace the first image that it had.
        open_checks: How many checks are open.
    """

    name: str
    is_named: bool
    slots: asyncio.Semaphore
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    samples: dict[str, ImageReference] = field(default_factory=dict)
    open_checks: int = 0


class ImageChecker:
    """Remembers which images registries have, and checks what it does not know.

    Args:
        client: Sends the requests.
        settings: How to check.
        clock: Monotonic time in seconds.
        observer: Is notified of checks.
        limit: How many bytes each part of the cache takes at most.
    """

    def __init__(
        self,
        client: ImageClient,
        settings: Availability,
        clock: Callable[[], float],
        observer: CheckObserver | None = None,
        *,
        limit: int = MAX_BYTES,
    ) -> None:
        self.settings = settings
        self._client = client
        self._clock = clock
        self._observer = observer or NullObserver()
        self._cache = CheckCache(settings, limit)
        # As many as rules name: these are never forgotten.
        self._named: dict[str, _Registry] = {}
        self._strangers: OrderedDict[str, _Registry] = OrderedDict()
        self._open_strangers = 0
        self._open: dict[str, asyncio.Task[CheckResult]] = {}
        self._trials: set[asyncio.Task[None]] = set()

    def get_result(self, check: ImageCheck) -> CheckResult | None:
        """Return what is known without waiting; None if a check is needed.

        A stale result starts a check, and a circuit breaker that is due for a trial starts it.
        """
        now = self._clock()
        result, is_stale = self._cache.get(check.image, now)
        registry = self._find_registry(check.reference.registry)
        if registry is not None and registry.breaker.is_open:
            self._try_registry(registry)
            if result is not None and result.is_present:
                detail = "it had the image"
                return replace(result, status=CheckStatus.DOWN, detail=detail, was_present=True)
            return CheckResult(CheckStatus.DOWN)
        if is_stale:
            self.run(check)
        return result

    def get_digest(self, check: ImageCheck) -> str:
        """Return the digest that the image was last seen with; empty if it never was."""
        return self._cache.get_digest(check.image)

    def run(self, check: ImageCheck) -> asyncio.Future[CheckResult]:
        """Start a check, or join a running one; don't cancel it, as others may wait for it."""
        task = self._open.get(check.image)
        if task is not None:
            return task
        registry = self._get_registry(check)
        if len(self._open) >= MAX_OPEN or (
            not registry.is_named and self._open_strangers >= MAX_OPEN_STRANGERS
        ):
            busy: asyncio.Future[CheckResult] = asyncio.get_running_loop().create_future()
            busy.set_result(CheckResult(CheckStatus.BUSY))
            return busy
        registry.open_checks += 1
        self._open_strangers += not registry.is_named
        task = asyncio.create_task(self._run(check, registry))
        self._open[check.image] = task
        task.add_done_callback(lambda _: self._end(check, registry))
        return task

    async def close(self) -> None:
        """Close every connection; checks that are open end in an error."""
        await self._client.close()
        await asyncio.gather(*self._open.values(), *self._trials)

    def _end(self, check: ImageCheck, registry: _Registry) -> None:
        del self._open[check.image]
        registry.open_checks -= 1
        self._open_strangers -= not registry.is_named

    async def _run(self, check: ImageCheck, registry: _Registry) -> CheckResult:
        try:
            start = self._clock()
            result = await self._ask(check, registry)
            result = replace(result, seconds=self._clock() - start)
        except Exception as error:  # noqa: BLE001 - reviews wait for a result
            self._observer.on_error(check.image, error)
            result = CheckResult(CheckStatus.ERROR)
        self._record(check, registry, result)
        return result

    async def _ask(self, check: ImageCheck, registry: _Registry) -> CheckResult:
        """Ask when a slot is free, unless the circuit breaker is open by then."""
        try:
            async with asyncio.timeout(self.settings.timeout):
                await registry.slots.acquire()
        except TimeoutError:
            return CheckResult(CheckStatus.BUSY)
        try:
            if registry.breaker.is_open:
                return CheckResult(CheckStatus.DOWN)
            return await self._client.check_image(check.reference, is_named=registry.is_named)
        finally:
            registry.slots.release()

    def _record(self, check: ImageCheck, registry: _Registry, result: CheckResult) -> None:
        self._observer.on_result(check.target, result)
        if result.status in NO_ANSWER:
            return
        now = self._clock()
        self._cache.put(check.image, result, now, is_named=registry.is_named)
        if result.status.is_failure:
            registry.breaker.record_failure(now)
            self._try_registry(registry)
            return
        was_open = registry.breaker.is_open
        registry.breaker.record_success()
        self._report_change(registry, was_open, result)
        if result.is_present and len(registry.samples) < MAX_SAMPLES:
            namespace = check.reference.repository.rpartition("/")[0]
            registry.samples.setdefault(namespace, check.reference)

    def _try_registry(self, registry: _Registry) -> None:
        """Start a trial if one is due."""
        if registry.breaker.is_trial_due(self._clock()):
            registry.breaker.begin_trial()
            task = asyncio.create_task(self._run_trial(registry))
            self._trials.add(task)
            task.add_done_callback(self._trials.discard)

    async def _run_trial(self, registry: _Registry) -> None:
        """Find out whether a registry is up, by images that are known to be there.

        An image that somebody has just named could fail by itself, or be made to.
        """
        try:
            result = await self._ask_for_samples(registry)
        except Exception as error:  # noqa: BLE001 - the next trial depends on the end of this
            self._observer.on_error(registry.name, error)
            result = CheckResult(CheckStatus.ERROR)
        was_open = registry.breaker.is_open
        is_up = not result.status.is_failure and result.status not in NO_ANSWER
        registry.breaker.end_trial(self._clock(), is_up=is_up)
        self._report_change(registry, was_open, result)

    async def _ask_for_samples(self, registry: _Registry) -> CheckResult:
        """Return the first answer for an image, or else a failure."""
        if not registry.samples:
            return await self._client.check_registry(registry.name)
        checks = [
            self._client.check_image(sample, is_named=registry.is_named)
            for sample in registry.samples.values()
        ]
        results = await asyncio.gather(*checks)
        return min(results, key=lambda result: result.status.is_failure)

    def _report_change(self, registry: _Registry, was_open: bool, result: CheckResult) -> None:
        # Nobody can fix a registry that the author of a Pod made up.
        is_open = registry.breaker.is_open
        if registry.is_named and is_open != was_open:
            self._observer.on_circuit_change(registry.name, is_open=is_open, result=result)

    def _find_registry(self, name: str) -> _Registry | None:
        return self._named.get(name) or self._strangers.get(name)

    def _get_registry(self, check: ImageCheck) -> _Registry:
        name = check.reference.registry
        registry = self._named.get(name)
        if registry is None and check.is_named:
            slots = asyncio.Semaphore(MAX_PER_REGISTRY)
            registry = self._named[name] = _Registry(name, True, slots)
            self._strangers.pop(name, None)
        if registry is not None:
            return registry
        registry = self._strangers.get(name)
        if registry is None:
            slots = asyncio.Semaphore(MAX_PER_STRANGER)
            registry = self._strangers[name] = _Registry(name, False, slots)
            if len(self._strangers) > MAX_STRANGERS:
                self._forget_stranger()
        self._strangers.move_to_end(name)
        return registry

    def _forget_stranger(self) -> None:
        """Forget the stranger that was asked least recently and has no open check."""
        for name, registry in self._strangers.items():
            if not registry.open_checks:
                del self._strangers[name]
                return


def create_checker(
    settings: Availability,
    clock: Callable[[], float],
    observer: CheckObserver | None = None,
    create_transport: TransportFactory = create_pool,
) -> ImageChecker:
    """Return an image checker that uses the network.

    Args:
        settings: How to check.
        clock: Monotonic time in seconds.
        observer: Is notified of checks.
        create_transport: Makes a connection pool, given the path of a CA file and a proxy.
    """
    observer = observer or NullObserver()
    client = ClientThread(
        lambda report: create_client(settings, clock, report, create_transport),
        observer.on_problem,
    )
    return ImageChecker(client, settings, clock, observer)
