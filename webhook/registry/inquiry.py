"""Questions for images, each asked once however many want to know."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from webhook.registry.answers import FAILURES, Answer, Finding, Presence
from webhook.registry.breaker import Breaker
from webhook.registry.cache import FindingCache
from webhook.registry.observer import Silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from webhook.core import Availability, ImageReference
    from webhook.registry.observer import Observer
    from webhook.registry.question import Question

__all__ = ["Inquirer"]

# One registry that hangs must not take what the others need.
MAX_PER_REGISTRY: Final = 64
MAX_IN_FLIGHT: Final = 4096
# Only rules that take the registry from a regular expression know more of them.
MAX_REGISTRIES: Final = 1024
MAX_DIGESTS: Final = 10_000


@dataclass(slots=True)
class Line:
    """What is known of one registry, and how many questions it has."""

    breaker: Breaker = field(default_factory=Breaker)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_PER_REGISTRY))
    questions: int = 0


class Inquirer:
    """Knows what was answered, and asks for what it does not know.

    Args:
        ask: Asks a registry; it answers within bounded time.
        settings: How to ask.
        clock: Gives seconds that only grow.
        observer: Is told of what happens.
        size: How many images it knows at most.
    """

    def __init__(
        self,
        ask: Callable[[ImageReference], Awaitable[Finding]],
        settings: Availability,
        clock: Callable[[], float],
        observer: Observer | None = None,
        *,
        size: int | None = None,
    ) -> None:
        self._ask = ask
        self._settings = settings
        self._clock = clock
        self._observer = observer or Silent()
        self._cache = FindingCache(settings, size) if size else FindingCache(settings)
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._in_flight: dict[str, asyncio.Task[Finding]] = {}
        self._digests: OrderedDict[str, str] = OrderedDict()

    @property
    def in_flight(self) -> int:
        """How many questions are open."""
        return len(self._in_flight)

    @property
    def known_images(self) -> int:
        """How many images it knows of."""
        return len(self._cache)

    def known(self, question: Question) -> Finding | None:
        """Return what is known without asking; None if it has to be asked.

        What is due to be asked again is, while nobody waits for it.
        """
        now = self._clock()
        line = self._lines.get(question.reference.registry)
        if line is not None and line.breaker.is_open:
            if line.breaker.is_due(now) and self.in_flight < MAX_IN_FLIGHT:
                line.breaker.begin_trial()
                self._start(question, trial=True)
            return Finding(Answer.DOWN)
        finding, is_stale = self._cache.get(question.name, now)
        if is_stale and question.name not in self._in_flight:
            self.ask(question)
        return finding

    def digest_of(self, question: Question) -> str:
        """Return the digest that was last seen under a name; empty if none ever was."""
        return self._digests.get(question.name, "")

    def ask(self, question: Question) -> asyncio.Future[Finding]:
        """Ask, or join whoever asks that already.

        It is not to be cancelled: others may wait for it.
        """
        known = self._in_flight.get(question.name)
        if known is not None:
            return known
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            busy: asyncio.Future[Finding] = asyncio.get_running_loop().create_future()
            busy.set_result(Finding(Answer.BUSY))
            return busy
        return self._start(question, trial=False)

    def _start(self, question: Question, *, trial: bool) -> asyncio.Task[Finding]:
        task = asyncio.create_task(self._asked(question, trial=trial))
        self._in_flight[question.name] = task
        task.add_done_callback(lambda done: self._ended(question.name, done))
        return task

    def _ended(self, name: str, task: asyncio.Task[Finding]) -> None:
        if self._in_flight.get(name) is task:
            del self._in_flight[name]

    async def _asked(self, question: Question, *, trial: bool) -> Finding:
        line = self._line(question.reference.registry)
        line.questions += 1
        try:
            began = self._clock()
            finding = await self._in_turn(question, line, trial=trial)
            finding = replace(finding, seconds=self._clock() - began)
            self._note(question, line, finding, trial=trial)
        except Exception as error:  # noqa: BLE001 - whoever waits gets an answer
            self._observer.failed(question.name, error)
            finding = Finding(Answer.ERROR)
            self._note(question, line, finding, trial=trial)
        finally:
            line.questions -= 1
        return finding

    async def _in_turn(self, question: Question, line: Line, *, trial: bool) -> Finding:
        """Ask when it is this question's turn, unless the registry is down by then."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                await line.places.acquire()
        except TimeoutError:
            return Finding(Answer.BUSY)
        try:
            if line.breaker.is_open and not trial:
                return Finding(Answer.DOWN)
            return await self._ask(question.reference)
        finally:
            line.places.release()

    def _note(self, question: Question, line: Line, finding: Finding, *, trial: bool) -> None:
        """Keep what an answer says of the image, and of its registry."""
        self._observer.answered(question.mirror, finding)
        now = self._clock()
        breaker = line.breaker
        was_open = breaker.is_open
        if finding.answer in FAILURES or (trial and finding.answer in NO_ANSWER):
            breaker.failed(now, trial=trial)
        elif finding.answer not in NO_ANSWER:
            breaker.succeeded()
        if breaker.is_open != was_open:
            registry = question.reference.registry
            self._observer.switched(registry, is_open=breaker.is_open, finding=finding)
        if finding.answer not in NO_ANSWER:
            self._cache.put(question.name, finding, now)
        if finding.presence is Presence.PRESENT and finding.digest:
            self._digests[question.name] = finding.digest
            self._digests.move_to_end(question.name)
            if len(self._digests) > MAX_DIGESTS:
                self._digests.popitem(last=False)

    def _line(self, registry: str) -> Line:
        line = self._lines.get(registry)
        if line is None:
            line = self._lines[registry] = Line()
            if len(self._lines) > MAX_REGISTRIES:
                self._forget_one()
        return line

    def _forget_one(self) -> None:
        """Forget the registry that is known for longest and has nothing to remember."""
        for registry, line in self._lines.items():
            if line.breaker.is_idle and not line.questions:
                del self._lines[registry]
                return


# These are no word of the registry.
NO_ANSWER: Final = frozenset({Answer.BUSY, Answer.DOWN, Answer.ERROR})
