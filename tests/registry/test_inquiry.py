from __future__ import annotations

import asyncio

from tests.registry.scripted import HANGS, Scripted
from tests.registry.virtual import now, run
from webhook.core import Availability, parse_reference
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


def test_many_who_want_to_know_the_same_ask_once():
    async def main():
        world = Scripted(one_example=PRESENT)
        answers = await asyncio.gather(*(world.checker.run(question()) for _ in range(50)))

        assert {each.status for each in answers} == {PRESENT}
        assert world.asked["one.example"] == 1
        assert len(world.checker._open) == 0

    run(main())


def test_what_is_stale_is_told_and_asked_for_again_beside_it():
    async def main():
        world = Scripted(one_example=PRESENT)
        await world.checker.run(question())
        await asyncio.sleep(700)
        world.script["one.example"] = ABSENT

        assert world.checker.get_result(question()).status is PRESENT
        assert world.checker.get_result(question()).status is PRESENT
        await asyncio.sleep(1)
        assert world.checker.get_result(question()).status is ABSENT
        assert world.asked["one.example"] == 2

    run(main())


def test_a_registry_that_hangs_costs_nothing_once_it_is_known_to():
    async def main():
        world = Scripted(one_example=HANGS)
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


def test_a_registry_comes_back_by_itself_after_a_trial_that_nobody_waits_for():
    async def main():
        world = Scripted(one_example=CheckStatus.FAILED)
        for n in range(5):
            await world.checker.run(question(f"one.example/a{n}"))
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)

        assert world.checker.get_result(question()).status is CheckStatus.DOWN
        await asyncio.sleep(1)
        assert world.checker.get_result(question()).status is PRESENT
        assert world.watching.switches == [
            ("one.example", True, CheckStatus.FAILED),
            ("one.example", False, PRESENT),
        ]

    run(main())


def test_what_was_known_of_a_registry_that_is_down_is_not_told_until_it_is_back():
    async def main():
        world = Scripted(one_example=PRESENT)
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


def test_one_registry_that_hangs_does_not_hold_up_another():
    async def main():
        world = Scripted(one_example=HANGS, two_example=PRESENT)
        for n in range(500):
            world.checker.run(question(f"one.example/a{n}"))
        finding = await world.checker.run(question("two.example/a"))

        assert (finding.status, now() < 0.1) == (PRESENT, True)

    run(main())


def test_there_is_an_end_to_questions_at_once():
    async def main():
        world = Scripted(one_example=HANGS)
        futures = [world.checker.run(question(f"one.example/a{n}")) for n in range(MAX_OPEN + 100)]
        findings = await asyncio.gather(*futures)

        assert [each.status for each in findings[-100:]] == [CheckStatus.BUSY] * 100
        assert world.most <= MAX_PER_REGISTRY
        assert len(world.checker._open) == 0

    run(main())


def test_an_error_of_ours_is_an_answer_and_is_told():
    async def main():
        error = RuntimeError("broken")
        world = Scripted(one_example=error)
        finding = await world.checker.run(question())

        assert finding == CheckResult(CheckStatus.ERROR)
        assert world.watching.errors == [("one.example/a", error)]
        assert world.checker.get_result(question()) is None

    run(main())


def test_every_answer_is_told_by_mirror():
    async def main():
        world = Scripted(one_example=ABSENT)
        await world.checker.run(question())

        assert world.watching.answers == [("one.example", ABSENT)]

    run(main())


def test_a_finding_has_the_time_it_took():
    async def main():
        world = Scripted(one_example=PRESENT, seconds=0.25)

        assert (await world.checker.run(question())).seconds == 0.25

    run(main())


def test_registries_without_end_are_forgotten_but_not_those_that_are_down():
    async def main():
        world = Scripted(Availability(timeout=0.1))
        world.script = dict.fromkeys((f"r{n}.example" for n in range(3000)), PRESENT)
        world.script["r0.example"] = CheckStatus.FAILED
        for n in range(5):
            await world.checker.run(question(f"r0.example/a{n}"))
        for n in range(1, 3000):
            await world.checker.run(question(f"r{n}.example/a"))

        assert len(world.checker._registries) <= MAX_REGISTRIES
        assert world.checker.get_result(question("r0.example/a")).status is CheckStatus.DOWN

    run(main())
