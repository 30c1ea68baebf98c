from __future__ import annotations

import asyncio

from tests.registry.fakes import HANGS, FakeRegistries
from tests.registry.virtual_clock import now, run
from webhook.core import Availability, parse_reference
from webhook.registry import checker
from webhook.registry.checker import (
    MAX_OPEN,
    MAX_PER_REGISTRY,
    MAX_REGISTRIES,
    ImageCheck,
)
from webhook.registry.responses import CheckResult, CheckStatus

PRESENT, ABSENT = CheckStatus.PRESENT, CheckStatus.ABSENT


def question(image="one.example/a"):
    return ImageCheck(parse_reference(image), "one.example")


def test_concurrent_checks_of_one_image_send_one_request():
    async def main():
        world = FakeRegistries(one_example=PRESENT)
        answers = await asyncio.gather(*(world.checker.run(question()) for _ in range(50)))

        assert {each.status for each in answers} == {PRESENT}
        assert world.asked["one.example"] == 1
        assert len(world.checker._open) == 0

    run(main())


def test_stale_result_is_returned_and_refreshed():
    async def main():
        world = FakeRegistries(one_example=PRESENT)
        await world.checker.run(question())
        await asyncio.sleep(700)
        world.script["one.example"] = ABSENT

        assert world.checker.get_result(question()).status is PRESENT
        assert world.checker.get_result(question()).status is PRESENT
        await asyncio.sleep(1)
        assert world.checker.get_result(question()).status is ABSENT
        assert world.asked["one.example"] == 2

    run(main())


def test_hanging_registry_is_not_asked_after_breaker_opens():
    async def main():
        world = FakeRegistries(one_example=HANGS)
        await asyncio.gather(
            *(world.checker.run(question(f"one.example/a{n}")) for n in range(1000))
        )

        assert now() < 2
        assert world.asked["one.example"] == MAX_PER_REGISTRY
        for n in range(1000):
            known = world.checker.get_result(question(f"one.example/b{n}"))
            assert known.status is CheckStatus.DOWN
        assert world.asked["one.example"] == MAX_PER_REGISTRY

    run(main())


def test_registry_recovers_by_trial_in_background():
    async def main():
        world = FakeRegistries(one_example=CheckStatus.FAILED)
        for n in range(5):
            await world.checker.run(question(f"one.example/a{n}"))
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)

        assert world.checker.get_result(question()).status is CheckStatus.DOWN
        await asyncio.sleep(1)
        assert world.checker.get_result(question()).status is PRESENT
        assert world.observer.switches == [
            ("one.example", True, CheckStatus.FAILED),
            ("one.example", False, PRESENT),
        ]

    run(main())


def test_cached_results_of_down_registry_are_held_back():
    async def main():
        world = FakeRegistries(one_example=PRESENT)
        await world.checker.run(question())
        world.script["one.example"] = CheckStatus.UNREACHABLE
        for n in range(5):
            await world.checker.run(question(f"one.example/a{n}"))

        assert world.checker.get_result(question()).status is CheckStatus.DOWN
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)
        world.checker.get_result(question())
        await asyncio.sleep(1)
        assert world.checker.get_result(question()).status is PRESENT

    run(main())


def test_hanging_registry_does_not_delay_others():
    async def main():
        world = FakeRegistries(one_example=HANGS, two_example=PRESENT)
        for n in range(500):
            world.checker.run(question(f"one.example/a{n}"))
        result = await world.checker.run(question("two.example/a"))

        assert (result.status, now() < 0.1) == (PRESENT, True)

    run(main())


def test_waiting_checks_end_when_breaker_opens():
    async def main():
        world = FakeRegistries(one_example=CheckStatus.FAILED)
        checks = [world.checker.run(question(f"one.example/a{n}")) for n in range(100)]
        results = await asyncio.gather(*checks)

        assert [each.status for each in results[-36:]] == [CheckStatus.DOWN] * 36
        assert world.asked["one.example"] == MAX_PER_REGISTRY

    run(main())


def test_number_of_known_digests_is_limited(monkeypatch):
    monkeypatch.setattr(checker, "MAX_DIGESTS", 2)

    async def main():
        world = FakeRegistries(one_example=CheckResult(PRESENT, digest="sha256:" + "a" * 64))
        checks = [question(f"one.example/a{n}") for n in range(3)]
        for check in checks:
            await world.checker.run(check)

        assert [bool(world.checker.get_digest(check)) for check in checks] == [False, True, True]

    run(main())


def test_number_of_open_checks_is_limited():
    async def main():
        world = FakeRegistries(one_example=HANGS)
        futures = [world.checker.run(question(f"one.example/a{n}")) for n in range(MAX_OPEN + 100)]
        results = await asyncio.gather(*futures)

        assert [each.status for each in results[-100:]] == [CheckStatus.BUSY] * 100
        assert world.most <= MAX_PER_REGISTRY
        assert len(world.checker._open) == 0

    run(main())


def test_internal_error_becomes_result_and_is_observed():
    async def main():
        error = RuntimeError("broken")
        world = FakeRegistries(one_example=error)
        result = await world.checker.run(question())

        assert result == CheckResult(CheckStatus.ERROR)
        assert world.observer.errors == [("one.example/a", error)]
        assert world.checker.get_result(question()) is None

    run(main())


def test_result_is_observed_by_target():
    async def main():
        world = FakeRegistries(one_example=ABSENT)
        await world.checker.run(question())

        assert world.observer.answers == [("one.example", ABSENT)]

    run(main())


def test_result_has_duration():
    async def main():
        world = FakeRegistries(one_example=PRESENT, seconds=0.25)

        assert (await world.checker.run(question())).seconds == 0.25

    run(main())


def test_registries_are_forgotten_unless_down():
    async def main():
        world = FakeRegistries(Availability(timeout=0.1))
        world.script = dict.fromkeys((f"r{n}.example" for n in range(3000)), PRESENT)
        world.script["r0.example"] = CheckStatus.FAILED
        for n in range(5):
            await world.checker.run(question(f"r0.example/a{n}"))
        for n in range(1, 3000):
            await world.checker.run(question(f"r{n}.example/a"))

        assert len(world.checker._registries) <= MAX_REGISTRIES
        assert world.checker.get_result(question("r0.example/a")).status is CheckStatus.DOWN

    run(main())
