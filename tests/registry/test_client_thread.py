from __future__ import annotations

import asyncio
import threading
import time

import httpx

from tests.registry.fake_http import answer, manifest
from tests.registry.fakes import RecordingObserver
from webhook.core import Availability, parse_reference
from webhook.registry.checker import ImageCheck, create_checker
from webhook.registry.responses import CheckStatus


class Observer(RecordingObserver):
    def __init__(self):
        super().__init__()
        self.problems = []

    def on_problem(self, problem):
        self.problems.append((problem, threading.current_thread()))


def checker_of(handler, observer=None, **settings):
    transport = httpx.MockTransport(handler)
    settings = Availability(**settings)
    return create_checker(settings, time.monotonic, observer, lambda *_: transport)


def check_of(image):
    return ImageCheck(parse_reference(image), "m")


def registry_threads():
    return [thread for thread in threading.enumerate() if thread.name == "registries"]


def test_busy_registry_does_not_hold_the_event_loop():
    ticks = 0

    def handler(_request):
        end = time.perf_counter() + 30
        while ticks < 6 and time.perf_counter() < end:
            pass
        return manifest()

    async def main():
        nonlocal ticks
        checker = checker_of(handler, timeout=60.0)
        task = checker.run(check_of("m.example/a"))
        while not task.done():
            await asyncio.sleep(0.005)
            ticks += 1
        await checker.close()
        return task.result()

    assert asyncio.run(main()).is_present
    assert ticks >= 6


def test_problems_are_reported_on_the_event_loop_of_the_caller(tmp_path):
    observer = Observer()

    async def main():
        checker = checker_of(
            lambda _: manifest(), observer, credentials=(str(tmp_path / "missing.json"),)
        )
        await checker.run(check_of("m.example/a"))
        await asyncio.sleep(0)
        await checker.close()

    asyncio.run(main())

    ((problem, thread),) = observer.problems
    assert "missing.json" in problem
    assert thread is threading.main_thread()


def test_thread_ends_when_checker_is_closed():
    before = registry_threads()

    async def main():
        checker = checker_of(lambda _: manifest())
        assert len(registry_threads()) == len(before) + 1
        await checker.close()
        await checker.close()

    asyncio.run(main())

    assert registry_threads() == before


def test_open_checks_end_when_checker_is_closed():
    async def hangs(_request):
        await asyncio.sleep(60)

    async def main():
        checker = checker_of(hangs, timeout=0.2)
        task = checker.run(check_of("m.example/a"))
        await asyncio.sleep(0.05)
        await checker.close()
        return task.result()

    assert asyncio.run(main()).status is CheckStatus.TIMEOUT


def test_registry_without_known_images_is_tried_by_itself():
    observer = Observer()
    asked = []

    def handler(request):
        asked.append((request.method, request.url.path))
        return answer(502)

    async def main():
        checker = checker_of(handler, observer)
        for number in range(5):
            await checker.run(check_of(f"m.example/a{number}"))
        await checker.close()

    asyncio.run(main())

    assert asked[-1] == ("GET", "/v2/")
    assert observer.switches == [("m.example", True, CheckStatus.FAILED)]
