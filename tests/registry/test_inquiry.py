from __future__ import annotations

import asyncio

from tests.registry.scripted import HANGS, Scripted
from tests.registry.virtual import now, run
from webhook.core import Availability, parse_reference
from webhook.registry.answers import Answer, Finding
from webhook.registry.inquiry import (
    MAX_IN_FLIGHT,
    MAX_PER_REGISTRY,
    MAX_REGISTRIES,
)
from webhook.registry.question import question_for

PRESENT, ABSENT = Answer.PRESENT, Answer.ABSENT


def question(image="one.example/a"):
    return question_for(parse_reference(image), "one.example")


def test_many_who_want_to_know_the_same_ask_once():
    async def main():
        world = Scripted(one_example=PRESENT)
        answers = await asyncio.gather(*(world.inquirer.ask(question()) for _ in range(50)))

        assert {each.answer for each in answers} == {PRESENT}
        assert world.asked["one.example"] == 1
        assert world.inquirer.in_flight == 0

    run(main())


def test_what_is_stale_is_told_and_asked_for_again_beside_it():
    async def main():
        world = Scripted(one_example=PRESENT)
        await world.inquirer.ask(question())
        await asyncio.sleep(700)
        world.script["one.example"] = ABSENT

        assert world.inquirer.known(question()).answer is PRESENT
        assert world.inquirer.known(question()).answer is PRESENT
        await asyncio.sleep(1)
        assert world.inquirer.known(question()).answer is ABSENT
        assert world.asked["one.example"] == 2

    run(main())


def test_a_registry_that_hangs_costs_nothing_once_it_is_known_to():
    async def main():
        world = Scripted(one_example=HANGS)
        await asyncio.gather(
            *(world.inquirer.ask(question(f"one.example/a{n}")) for n in range(1000))
        )

        assert now() < 2
        assert world.asked["one.example"] == MAX_PER_REGISTRY
        for n in range(1000):
            known = world.inquirer.known(question(f"one.example/b{n}"))
            assert known.answer is Answer.DOWN
        assert world.asked["one.example"] == MAX_PER_REGISTRY

    run(main())


def test_a_registry_comes_back_by_itself_after_a_trial_that_nobody_waits_for():
    async def main():
        world = Scripted(one_example=Answer.FAILED)
        for n in range(5):
            await world.inquirer.ask(question(f"one.example/a{n}"))
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)

        assert world.inquirer.known(question()).answer is Answer.DOWN
        await asyncio.sleep(1)
        assert world.inquirer.known(question()).answer is PRESENT
        assert world.watching.switches == [
            ("one.example", True, Answer.FAILED),
            ("one.example", False, PRESENT),
        ]

    run(main())


def test_what_was_known_of_a_registry_that_is_down_is_not_told_until_it_is_back():
    async def main():
        world = Scripted(one_example=PRESENT)
        await world.inquirer.ask(question())
        world.script["one.example"] = Answer.UNREACHABLE
        for n in range(5):
            await world.inquirer.ask(question(f"one.example/a{n}"))

        assert world.inquirer.known(question()).answer is Answer.DOWN
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)
        world.inquirer.known(question())
        await asyncio.sleep(1)
        assert world.inquirer.known(question()).answer is PRESENT

    run(main())


def test_one_registry_that_hangs_does_not_hold_up_another():
    async def main():
        world = Scripted(one_example=HANGS, two_example=PRESENT)
        for n in range(500):
            world.inquirer.ask(question(f"one.example/a{n}"))
        finding = await world.inquirer.ask(question("two.example/a"))

        assert (finding.answer, now() < 0.1) == (PRESENT, True)

    run(main())


def test_there_is_an_end_to_questions_at_once():
    async def main():
        world = Scripted(one_example=HANGS)
        futures = [
            world.inquirer.ask(question(f"one.example/a{n}")) for n in range(MAX_IN_FLIGHT + 100)
        ]
        findings = await asyncio.gather(*futures)

        assert [each.answer for each in findings[-100:]] == [Answer.BUSY] * 100
        assert world.most <= MAX_PER_REGISTRY
        assert world.inquirer.in_flight == 0

    run(main())


def test_an_error_of_ours_is_an_answer_and_is_told():
    async def main():
        error = RuntimeError("broken")
        world = Scripted(one_example=error)
        finding = await world.inquirer.ask(question())

        assert finding == Finding(Answer.ERROR)
        assert world.watching.errors == [("one.example/a", error)]
        assert world.inquirer.known(question()) is None

    run(main())


def test_every_answer_is_told_by_mirror():
    async def main():
        world = Scripted(one_example=ABSENT)
        await world.inquirer.ask(question())

        assert world.watching.answers == [("one.example", ABSENT)]

    run(main())


def test_a_finding_has_the_time_it_took():
    async def main():
        world = Scripted(one_example=PRESENT, seconds=0.25)

        assert (await world.inquirer.ask(question())).seconds == 0.25

    run(main())


def test_registries_without_end_are_forgotten_but_not_those_that_are_down():
    async def main():
        world = Scripted(Availability(timeout=0.1))
        world.script = dict.fromkeys((f"r{n}.example" for n in range(3000)), PRESENT)
        world.script["r0.example"] = Answer.FAILED
        for n in range(5):
            await world.inquirer.ask(question(f"r0.example/a{n}"))
        for n in range(1, 3000):
            await world.inquirer.ask(question(f"r{n}.example/a"))

        assert len(world.inquirer._lines) <= MAX_REGISTRIES
        assert world.inquirer.known(question("r0.example/a")).answer is Answer.DOWN

    run(main())
