"""Check whether registries have images: each image once, however many reviews wait for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Protocol

from webhook.registry.cache import MAX_ENTRIES, CheckCache
from webhook.registry.circuit_breaker import CircuitBreaker
from webhook.registry.client import create_client
from webhook.registry.responses import CheckResult, CheckStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core import Availability, ImageReference
    from webhook.registry.client import RegistryClient, TransportFactory

__all__ = ["CheckObserver", "ImageCheck", "ImageChecker", "NullObserver", "create_checker"]

# A registry that hangs must not use up what the others need.
MAX_PER_REGISTRY: Final = 64
MAX_OPEN: Final = 4096
# Only rules that take the registry from a regular expression lead to more.
MAX_REGISTRIES: Final = 1024
MAX_DIGESTS: Final = 10_000
# The registry was not asked, or did not answer.
NO_ANSWER: Final = frozenset({CheckStatus.BUSY, CheckStatus.DOWN, CheckStatus.ERROR})


@dataclass(frozen=True)
class ImageCheck:
    """The question whether a registry has an image.

    Attributes:
        reference: The image.
        target: The registry's label in metrics: the target of a mirror, or ``original``.
    """

    reference: ImageReference
    target: str

    @cached_property
    def image(self) -> str:
        """The image in normal form."""
        return str(self.reference)


class CheckObserver(Protocol):
    """Is notified of checks: writes logs or metrics, or to a terminal."""

    def on_result(self, target: str, result: CheckResult) -> None:
        """Called when a check has ended."""

    def on_circuit_change(self, registry: str, *, is_open: bool, result: CheckResult) -> None:
        """Called when a circuit breaker has opened or closed after *result*."""

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


@dataclass(slots=True)
class _Registry:
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_PER_REGISTRY))
    open_checks: int = 0


class ImageChecker:
    """Remembers which images registries have, and checks what it does not know.

    Args:
        client: Sends the requests.
        settings: How to check.
        clock: Monotonic time in seconds.
        observer: Is notified of checks.
        size: How many images it remembers at most.
    """

    def __init__(
        self,
        client: RegistryClient,
        settings: Availability,
        clock: Callable[[], float],
        observer: CheckObserver | None = None,
        *,
        size: int = MAX_ENTRIES,
    ) -> None:
        self.settings = settings
        self._client = client
        self._clock = clock
        self._observer = observer or NullObserver()
        self._cache = CheckCache(settings, size)
        self._registries: OrderedDict[str, _Registry] = OrderedDict()
        self._open: dict[str, asyncio.Task[CheckResult]] = {}
        self._digests: OrderedDict[str, str] = OrderedDict()

    def get_result(self, check: ImageCheck) -> CheckResult | None:
        """Return what is known without waiting; None if a check is needed.

        A stale result, or a circuit breaker that is due for a trial, starts a check.
        """
        now = self._clock()
        registry = self._registries.get(check.reference.registry)
        if registry is not None and registry.breaker.is_open:
            if registry.breaker.is_trial_due(now) and len(self._open) < MAX_OPEN:
                registry.breaker.begin_trial()
                self._start(check, trial=True)
            return CheckResult(CheckStatus.DOWN)
        result, is_stale = self._cache.get(check.image, now)
        if is_stale:
            self.run(check)
        return result

    def get_digest(self, check: ImageCheck) -> str:
        """Return the digest that the image was last seen with; empty if it never was."""
        return self._digests.get(check.image, "")

    def run(self, check: ImageCheck) -> asyncio.Future[CheckResult]:
        """Start a check, or join a running one; don't cancel it, as others may wait for it."""
        task = self._open.get(check.image)
        if task is not None:
            return task
        if len(self._open) >= MAX_OPEN:
            busy: asyncio.Future[CheckResult] = asyncio.get_running_loop().create_future()
            busy.set_result(CheckResult(CheckStatus.BUSY))
            return busy
        return self._start(check, trial=False)

    async def close(self) -> None:
        """Close every connection; checks that are open end in an error."""
        await self._client.close()

    def _start(self, check: ImageCheck, *, trial: bool) -> asyncio.Task[CheckResult]:
        task = asyncio.create_task(self._run(check, trial=trial))
        self._open[check.image] = task
        task.add_done_callback(lambda done: self._end(check.image, done))
        return task

    def _end(self, image: str, task: asyncio.Task[CheckResult]) -> None:
        # A trial takes the place of a check that is still open.
        if self._open.get(image) is task:
            del self._open[image]

    async def _run(self, check: ImageCheck, *, trial: bool) -> CheckResult:
        registry = self._get_registry(check.reference.registry)
        registry.open_checks += 1
        try:
            start = self._clock()
            result = await self._ask(check, registry, trial=trial)
            result = replace(result, seconds=self._clock() - start)
            self._record(check, registry, result, trial=trial)
        except Exception as error:  # noqa: BLE001 - reviews wait for a result
            self._observer.on_error(check.image, error)
            result = CheckResult(CheckStatus.ERROR)
            self._record(check, registry, result, trial=trial)
        finally:
            registry.open_checks -= 1
        return result

    async def _ask(self, check: ImageCheck, registry: _Registry, *, trial: bool) -> CheckResult:
        """Ask when a slot is free, unless the circuit breaker is open by then."""
        try:
            async with asyncio.timeout(self.settings.timeout):
                await registry.slots.acquire()
        except TimeoutError:
            return CheckResult(CheckStatus.BUSY)
        try:
            if registry.breaker.is_open and not trial:
                return CheckResult(CheckStatus.DOWN)
            return await self._client.check_image(check.reference)
        finally:
            registry.slots.release()

    def _record(
        self, check: ImageCheck, registry: _Registry, result: CheckResult, *, trial: bool
    ) -> None:
        self._observer.on_result(check.target, result)
        now = self._clock()
        breaker = registry.breaker
        was_open = breaker.is_open
        is_answer = result.status not in NO_ANSWER
        if result.status.is_failure or (trial and not is_answer):
            breaker.record_failure(now, trial=trial)
        elif is_answer:
            breaker.record_success()
        if breaker.is_open != was_open:
            self._observer.on_circuit_change(
                check.reference.registry, is_open=breaker.is_open, result=result
            )
        if is_answer:
            self._cache.put(check.image, result, now)
        if result.is_present and result.digest:
            self._digests[check.image] = result.digest
            self._digests.move_to_end(check.image)
            if len(self._digests) > MAX_DIGESTS:
                self._digests.popitem(last=False)

    def _get_registry(self, name: str) -> _Registry:
        registry = self._registries.get(name)
        if registry is None:
            registry = self._registries[name] = _Registry()
            if len(self._registries) > MAX_REGISTRIES:
                self._forget_registry()
        return registry

    def _forget_registry(self) -> None:
        """Forget the oldest registry that has no open check and no failure to remember."""
        for name, registry in self._registries.items():
            if registry.breaker.is_idle and not registry.open_checks:
                del self._registries[name]
                return


def create_checker(
    settings: Availability,
    clock: Callable[[], float],
    observer: CheckObserver | None = None,
    create_transport: TransportFactory | None = None,
) -> ImageChecker:
    """Return an image checker that uses the network.

    Args:
        settings: How to check.
        clock: Monotonic time in seconds.
        observer: Is notified of checks.
        create_transport: Makes a connection pool, given the path of a CA file.
    """
    observer = observer or NullObserver()
    client = create_client(settings, clock, observer.on_problem, create_transport)
    return ImageChecker(client, settings, clock, observer)
