from __future__ import annotations

import asyncio

import pytest

from tests.registry.fakes import HANGS, FakeRegistries
from tests.registry.virtual_clock import now, run
from webhook.core import Availability, parse_reference
from webhook.registry.checker import (
    MAX_OPEN,
    MAX_OPEN_STRANGERS,
    MAX_PER_REGISTRY,
    MAX_STRANGERS,
    ImageCheck,
)
from webhook.registry.responses import CheckResult, CheckStatus

PRESENT, ABSENT, DOWN = CheckStatus.PRESENT, CheckStatus.ABSENT, CheckStatus.DOWN
DIGEST = "sha256:" + "a" * 64


def question(image="one.example/a", *, is_named=True):
    return ImageCheck(parse_reference(image), "one.example", is_named=is_named)


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

        await asyncio.sleep(world.settings.timeout)
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
        await asyncio.sleep(1)
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)

        assert world.checker.get_result(question()).status is CheckStatus.DOWN
        await asyncio.sleep(1)
        assert world.checker.get_result(question()) is None
        assert (await world.checker.run(question())).is_present
        assert world.observer.switches == [
            ("one.example", True, CheckStatus.FAILED),
            ("one.example", False, PRESENT),
        ]

    run(main())


def test_results_of_down_registry_show_what_it_had():
    async def main():
        world = FakeRegistries(one_example=CheckResult(PRESENT, digest=DIGEST))
        await world.checker.run(question())
        world.script["one.example"] = CheckStatus.UNREACHABLE
        for n in range(5):
            await world.checker.run(question(f"one.example/a{n}"))
        await asyncio.sleep(1)

        known = world.checker.get_result(question())
        assert (known.status, known.was_present) == (CheckStatus.DOWN, True)
        assert known.digest == DIGEST
        assert not world.checker.get_result(question("one.example/a0")).was_present
        world.script["one.example"] = PRESENT
        await asyncio.sleep(6)
        world.checker.get_result(question())
        await asyncio.sleep(1)
        assert world.checker.get_result(question()).status is PRESENT

    run(main())


@pytest.mark.parametrize("failure", [each for each in CheckStatus if each.is_failure])
def test_images_that_fail_do_not_condemn_their_registry(failure):
    def answer(reference):
        return failure if reference.repository.startswith("evil") else PRESENT

    async def main():
        world = FakeRegistries(one_example=answer)
        await world.checker.run(question("one.example/team/app"))
        for n in range(100):
            await world.checker.run(question(f"one.example/evil{n}/app"))

        assert world.observer.switches == []
        assert (await world.checker.run(question("one.example/team/new"))).is_present

    run(main())


def test_images_that_fail_do_not_condemn_registry_without_known_images():
    def answer(reference):
        return CheckStatus.FAILED if "evil" in reference.repository else PRESENT

    async def main():
        world = FakeRegistries(one_example=answer)
        for n in range(20):
            await world.checker.run(question(f"one.example/evil{n}/app"))

        assert world.observer.switches == []

    run(main())


def test_registry_is_condemned_by_images_of_several_namespaces():
    """Somebody whose own image was there, and fails now, does not decide alone."""
    broken = ("evil",)

    def answer(reference):
        return CheckStatus.FAILED if reference.repository.startswith(broken) else PRESENT

    async def main():
        nonlocal broken
        world = FakeRegistries(one_example=answer)
        broken = ()
        for name in ("evil/app", "evil/other", "team/app"):
            await world.checker.run(question(f"one.example/{name}"))
        broken = ("evil",)
        for n in range(20):
            await world.checker.run(question(f"one.example/evil/new{n}"))
        assert world.observer.switches == []
        broken = ("evil", "team")
        for n in range(5):
            await world.checker.run(question(f"one.example/evil/newer{n}"))
        await asyncio.sleep(1)
        assert world.observer.switches == [("one.example", True, CheckStatus.FAILED)]

    run(main())


def test_somebodys_image_does_not_keep_registry_down():
    def answer(reference):
        return PRESENT if "good" in reference.repository and not down else CheckStatus.FAILED

    async def main():
        nonlocal down
        world = FakeRegistries(one_example=answer)
        await world.checker.run(question("one.example/good/app"))
        down = True
        for n in range(5):
            await world.checker.run(question(f"one.example/evil/app{n}"))
        await asyncio.sleep(1)
        down = False
        await asyncio.sleep(6)
        assert world.checker.get_result(question("one.example/evil/again")).status is DOWN
        await asyncio.sleep(1)
        assert world.observer.switches[-1] == ("one.example", False, PRESENT)

    down = False
    run(main())


def test_error_in_trial_is_observed_and_ends_it():
    async def main():
        world = FakeRegistries(one_example=CheckStatus.FAILED)
        for n in range(4):
            await world.checker.run(question(f"one.example/a{n}"))
        error = RuntimeError("broken")
        world.check_registry = broken(error)
        await world.checker.run(question("one.example/a5"))
        await asyncio.sleep(0)
        assert world.observer.errors == [("one.example", error)]
        assert world.observer.switches == [("one.example", True, CheckStatus.ERROR)]

    run(main())


def broken(error):
    async def check_registry(_registry):
        raise error

    return check_registry


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
        checks = [world.checker.run(question(f"one.example/a{n}")) for n in range(500)]
        results = await asyncio.gather(*checks)

        assert [each.status for each in results[-300:]] == [CheckStatus.DOWN] * 300
        assert world.asked["one.example"] <= 3 * MAX_PER_REGISTRY

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


def test_registries_of_rules_are_not_pushed_out_by_others():
    async def main():
        world = FakeRegistries(Availability(timeout=0.1))
        world.script = dict.fromkeys((f"r{n}.example" for n in range(3000)), CheckStatus.FAILED)
        for n in range(5):
            await world.checker.run(question(f"r0.example/a{n}"))
        for n in range(1, 3000):
            await world.checker.run(question(f"r{n}.example/a", is_named=False))

        assert len(world.checker._named) == 1
        assert len(world.checker._strangers) == MAX_STRANGERS
        assert world.checker.get_result(question("r0.example/a")).status is DOWN
        assert world.observer.switches == [("r0.example", True, CheckStatus.FAILED)]

    run(main())


def test_breaker_works_after_many_failed_registries():
    async def main():
        world = FakeRegistries(Availability(timeout=0.1))
        world.script = dict.fromkeys((f"r{n}.example" for n in range(3000)), CheckStatus.FAILED)
        for n in range(3000):
            await world.checker.run(question(f"r{n}.example/a", is_named=False))
        world.script["one.example"] = CheckStatus.FAILED
        for n in range(5):
            await world.checker.run(question(f"one.example/a{n}"))
        await asyncio.sleep(1)

        assert world.checker.get_result(question()).status is DOWN

    run(main())


def test_hanging_registries_of_others_leave_checks_for_those_of_rules():
    async def main():
        world = FakeRegistries(one_example=PRESENT)
        names = [f"r{n}.example" for n in range(3000)]
        world.script |= dict.fromkeys(names, HANGS)
        for name in names:
            world.checker.run(question(f"{name}/a", is_named=False))
        result = await world.checker.run(question())

        assert result.is_present
        assert world.most <= MAX_OPEN_STRANGERS + 1
        assert len(world.checker._strangers) == MAX_STRANGERS
        await asyncio.sleep(1)
        assert world.checker._open_strangers == 0
        assert all(each.open_checks == 0 for each in world.checker._strangers.values())

    run(main())


def test_registry_that_rules_name_later_is_no_stranger():
    async def main():
        world = FakeRegistries(one_example=PRESENT)
        await world.checker.run(question(is_named=False))
        await world.checker.run(question("one.example/b"))

        assert [*world.checker._named] == ["one.example"]
        assert not world.checker._strangers

    run(main())
