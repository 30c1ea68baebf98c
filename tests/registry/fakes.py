"""Registries that answer as a test says, on the clock of the test."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.registry.virtual_clock import now
from webhook.core import Availability, MirrorMap, Rule
from webhook.registry.cache import MAX_BYTES
from webhook.registry.checker import ImageChecker, NullObserver
from webhook.registry.responses import CheckResult, CheckStatus
from webhook.registry.selector import CandidateSelector

HANGS = "hangs"
TIMEOUT = CheckResult(CheckStatus.TIMEOUT, "800 ms")
RULES = MirrorMap([Rule("docker.io", ["one.example/hub", "two.example/hub"])])


class RecordingObserver(NullObserver):
    """Keeps what it is notified of."""

    def __init__(self):
        self.answers = []
        self.switches = []
        self.errors = []

    def on_result(self, target, result):
        self.answers.append((target, result.status))

    def on_circuit_change(self, registry, *, is_open, result):
        self.switches.append((registry, is_open, result.status))

    def on_error(self, image, error):
        self.errors.append((image, error))


class FakeRegistries:
    """Attributes:
    script: By registry its answer: a status, a result, HANGS, an error, or a function of
        the reference that returns one of these.
    seconds: How long an answer takes.
    asked: How often each registry was asked.
    images: How often each image was checked.
    most: How many checks were open at once.
    """

    def __init__(self, settings=None, rules=RULES, seconds=0.01, limit=MAX_BYTES, **script):
        self.script = {name.replace("_", "."): what for name, what in script.items()}
        self.seconds = seconds
        self.settings = settings or Availability()
        self.rules = rules
        self.asked, self.images = Counter(), Counter()
        self.open = self.most = 0
        self.observer = RecordingObserver()
        self.checker = ImageChecker(self, self.settings, now, self.observer, limit=limit)
        self.selector = CandidateSelector(self.checker)

    async def check_registry(self, registry):
        what = self.script[registry]
        # A function answers for images.
        return await self._answer(CheckStatus.PRESENT if callable(what) else what)

    async def check_image(self, reference, *, is_named=True):
        self.asked[reference.registry] += 1
        self.images[str(reference)] += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            what = self.script[reference.registry]
            return await self._answer(what(reference) if callable(what) else what)
        finally:
            self.open -= 1

    async def _answer(self, what):
        if what == HANGS:
            await asyncio.sleep(self.settings.timeout)
            return TIMEOUT
        await asyncio.sleep(self.seconds)
        if isinstance(what, Exception):
            raise what
        return what if isinstance(what, CheckResult) else CheckResult(what)

    async def choose(self, *images, seconds=10.0):
        """What becomes of some images, and in how many seconds."""
        began = now()
        decisions = [self.rules.decide(image) for image in images]
        chosen = await self.selector.choose(decisions, seconds)
        return chosen, now() - began

    async def one(self, image, seconds=10.0):
        (decision,), _ = await self.choose(image, seconds=seconds)
        return decision
