from __future__ import annotations

import asyncio

import pytest

from tests.registry.fakes import HANGS, FakeRegistries
from tests.registry.virtual_clock import now, run
from webhook.core import (
    Availability,
    Mirror,
    MirrorMap,
    OnUnknown,
    Original,
    Outcome,
    Rule,
    parse_reference,
)
from webhook.registry.checker import ImageCheck
from webhook.registry.responses import CheckResult, CheckStatus
from webhook.registry.selector import MAX_OPTION_BYTES, list_options

PRESENT, ABSENT = CheckStatus.PRESENT, CheckStatus.ABSENT
ON_MIRROR = Availability(on_unknown=OnUnknown.MIRROR)


def test_all_candidates_are_checked_at_once():
    async def main():
        world = FakeRegistries(seconds=0.5, one_example=ABSENT, two_example=PRESENT)
        images = [f"app{n}:1" for n in range(30)]
        decisions, seconds = await world.choose(*images)

        assert seconds == pytest.approx(0.5)
        assert {each.candidate.mirror.target for each in decisions} == {"two.example/hub"}
        assert world.asked == {"one.example": 30, "two.example": 30}

    run(main())


def test_known_images_need_no_checks():
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=PRESENT)
        first, _ = await world.choose("nginx", "redis")
        asked = world.asked.copy()
        second, seconds = await world.choose("nginx", "redis")

        assert (second, seconds, world.asked) == (first, 0.0, asked)

    run(main())


def test_first_mirror_is_waited_for():
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=PRESENT, seconds=0.3)

        assert (await world.one("nginx")).candidate.mirror.target == "one.example/hub"

    run(main())


def test_later_mirror_is_not_waited_for():
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=HANGS)
        _, seconds = await world.choose("nginx")

        assert seconds < 0.1

    run(main())


@pytest.mark.parametrize(
    ("seconds", "budget", "waited"), [(10, 0.5, 0.5), (0.3, 1.5, 0.3), (0, 1.5, 0)]
)
def test_wait_is_limited_by_budget_and_caller(seconds, budget, waited):
    async def main():
        world = FakeRegistries(Availability(budget=budget), one_example=HANGS, two_example=HANGS)
        (decision,), spent = await world.choose("nginx", seconds=seconds)

        assert spent == pytest.approx(waited)
        assert (decision.outcome, decision.image) == (Outcome.UNAVAILABLE, "nginx")
        assert "did not answer within the budget" in decision.reason
        await asyncio.sleep(2)
        assert len(world.checker._open) == 0

    run(main())


def test_late_result_is_used_by_next_review():
    async def main():
        world = FakeRegistries(seconds=0.7, one_example=PRESENT, two_example=PRESENT)

        assert (await world.one("nginx", 0.1)).outcome is Outcome.UNAVAILABLE
        await asyncio.sleep(1)
        assert (await world.one("nginx", 0.0)).outcome is Outcome.REWRITTEN

    run(main())


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [(Availability(), Outcome.UNAVAILABLE), (ON_MIRROR, Outcome.UNCONFIRMED)],
)
def test_internal_error_is_unknown_result(settings, outcome):
    async def main():
        world = FakeRegistries(settings, one_example=ValueError(), two_example=ValueError())

        assert (await world.one("nginx")).outcome is outcome

    run(main())


def test_images_without_options_keep_their_decisions():
    async def main():
        rules = MirrorMap([Rule("docker.io", ["one.example"]), Rule("a.io", keep=True)])
        world = FakeRegistries(rules=rules, one_example=PRESENT)
        images = ["a.io/b", "NGINX", "b.io/c", "nginx", "one.example/x"]
        decisions, _ = await world.choose(*images)

        assert decisions == [rules.decide(image) for image in images]
        assert world.asked == {"one.example": 1}

    run(main())


DIGESTS = ["sha256:" + letter * 64 for letter in "ab"]
VERIFYING = MirrorMap(
    [Rule("docker.io", ["one.example"], verify=True, trusted=Mirror("trusted.example"))]
)


def having(digest):
    return CheckResult(PRESENT, digest=digest)


@pytest.mark.parametrize(
    ("mirror", "trusted", "outcome"),
    [
        (having(DIGESTS[0]), having(DIGESTS[0]), Outcome.REWRITTEN),
        (having(DIGESTS[0]), having(DIGESTS[1]), Outcome.UNAVAILABLE),
        (having(DIGESTS[0]), HANGS, Outcome.UNCONFIRMED),
        (having(DIGESTS[0]), ABSENT, Outcome.UNCONFIRMED),
        (having(""), having(DIGESTS[0]), Outcome.UNCONFIRMED),
        (ABSENT, HANGS, Outcome.UNAVAILABLE),
    ],
)
def test_tag_is_verified_against_trusted_source(mirror, trusted, outcome):
    async def main():
        world = FakeRegistries(
            ON_MIRROR, rules=VERIFYING, one_example=mirror, trusted_example=trusted
        )

        assert (await world.one("nginx:1")).outcome is outcome

    run(main())


def test_known_mirror_waits_for_unknown_trusted_source():
    async def main():
        world = FakeRegistries(
            rules=VERIFYING, one_example=having(DIGESTS[0]), trusted_example=having(DIGESTS[1])
        )
        check = ImageCheck(parse_reference("one.example/library/nginx:1"), "one.example")
        await world.checker.run(check)

        assert (await world.one("nginx:1")).outcome is Outcome.UNAVAILABLE
        assert world.asked == {"one.example": 1, "trusted.example": 1}

    run(main())


def test_last_digest_is_used_while_trusted_source_is_down():
    async def main():
        world = FakeRegistries(
            rules=VERIFYING,
            one_example=having(DIGESTS[0]),
            trusted_example=having(DIGESTS[0]),
        )
        assert (await world.one("nginx:1")).outcome is Outcome.REWRITTEN
        world.script["trusted.example"] = HANGS
        await asyncio.sleep(10_000)
        assert (await world.one("nginx:1")).outcome is Outcome.REWRITTEN
        world.script["one.example"] = having(DIGESTS[1])
        await asyncio.sleep(10_000)
        decision = await world.one("nginx:1")

        assert decision.outcome is Outcome.UNAVAILABLE
        assert "has another image under that name" in decision.reason

    run(main())


def percentile(times, share):
    return sorted(times)[round(share * (len(times) - 1))]


async def stream(world, seconds, pace=60):
    """Pods of two images each, each with one that nobody has asked for before.

    Returns:
        When each came, its decisions, and how long they took.
    """
    tasks = []

    async def pod(number):
        began = now()
        decisions, took = await world.choose(f"app{number}:1", f"app{number % 7}:1")
        return began, decisions, took

    for number in range(int(seconds * pace)):
        tasks.append(asyncio.create_task(pod(number)))
        await asyncio.sleep(1 / pace)
    return await asyncio.gather(*tasks)


def test_hanging_mirror_delays_reviews_up_to_budget_until_breaker_opens():
    async def main():
        world = FakeRegistries(one_example=HANGS, two_example=PRESENT)
        pods = await stream(world, 30)

        assert len(pods) == 1800
        assert max(took for _, _, took in pods) <= 1.5
        opened = [took for began, _, took in pods if began > 2.0]
        assert percentile(opened, 0.99) < 0.05
        assert all(
            decision.candidate.mirror.target == "two.example/hub"
            for _, decisions, _ in pods
            for decision in decisions
        )

    run(main())


def test_no_review_waits_while_all_mirrors_are_down():
    async def main():
        world = FakeRegistries(one_example=HANGS, two_example=HANGS)
        pods = await stream(world, 10)
        after = [took for began, _, took in pods if began > 2.0]

        assert max(after) == 0.0
        assert all(
            decision.image == decision.original
            for _, decisions, _ in pods
            for decision in decisions
        )

    run(main())


def test_dead_mirror_is_avoided_until_it_recovers():
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=PRESENT)

        async def fate():
            await asyncio.sleep(10)
            world.script["one.example"] = HANGS
            await asyncio.sleep(20)
            world.script["one.example"] = PRESENT

        dying = asyncio.create_task(fate())
        pods = await stream(world, 75, pace=20)
        await dying
        (opened, closed) = world.observer.switches

        assert opened[:2] == ("one.example", True)
        assert closed == ("one.example", False, PRESENT)
        by_time = [
            (began, began + took, {each.candidate.mirror.target for each in decisions})
            for began, decisions, took in pods
        ]
        dead = [targets for began, end, targets in by_time if began > 12 and end < 30]
        assert dead
        assert all(targets == {"two.example/hub"} for targets in dead)
        back = [targets for began, _, targets in by_time if began > 65]
        assert all(targets == {"one.example/hub"} for targets in back)

    run(main())


def test_mirror_is_selected_for_its_images_while_others_fail():
    async def main():
        def one(reference):
            return PRESENT if reference.repository.endswith("first") else HANGS

        world = FakeRegistries(one_example=one, two_example=PRESENT)
        images = ["first", *(f"other{n}" for n in range(8))]
        (first, *others), _ = await world.choose(*images)
        await asyncio.sleep(1)

        assert world.observer.switches == []
        assert first.candidate.mirror.target == "one.example/hub"
        assert {each.candidate.mirror.target for each in others} == {"two.example/hub"}

    run(main())


def test_mirror_that_goes_down_during_review_is_not_selected():
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=PRESENT)
        await world.choose("known")
        world.script["one.example"] = HANGS
        images = [f"other{n}" for n in range(8)]
        slow = asyncio.create_task(world.choose(*images))
        await asyncio.sleep(0.9)
        world.script["two.example"] = HANGS
        (late,), _ = await world.choose("late", seconds=5.0)
        decisions, _ = await slow

        assert world.observer.switches[0] == ("one.example", True, CheckStatus.TIMEOUT)
        assert {each.candidate.mirror.target for each in decisions} == {"two.example/hub"}
        assert late.outcome is Outcome.UNAVAILABLE
        assert "one.example is not asked because it keeps failing" in late.reason

    run(main())


@pytest.mark.parametrize("failure", [CheckStatus.FAILED, HANGS, CheckStatus.UNREACHABLE])
def test_image_known_to_be_at_mirror_is_taken_while_it_is_down(failure):
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=ABSENT)
        await world.choose("known", "other")
        world.script["one.example"] = failure
        for number in range(10):
            await world.choose(f"new{number}")
        known, other = (await world.choose("known", "new"))[0]

        assert world.observer.switches[0][:2] == ("one.example", True)
        assert (known.outcome, known.image) == (
            Outcome.REWRITTEN,
            "one.example/hub/library/known",
        )
        assert known.reason.endswith(
            "because one.example is not asked because it keeps failing (it had the image), "
            "two.example does not have it"
        )
        assert other.outcome is Outcome.UNAVAILABLE

    run(main())


def test_image_known_to_be_at_other_mirror_is_preferred_to_one_that_is_down():
    async def main():
        world = FakeRegistries(one_example=PRESENT, two_example=PRESENT)
        await world.choose("known")
        world.script["one.example"] = HANGS
        for number in range(10):
            await world.choose(f"new{number}")

        assert (await world.one("known")).image == "two.example/hub/library/known"

    run(main())


def test_unverified_image_of_mirror_that_is_down_is_not_taken():
    async def main():
        world = FakeRegistries(
            rules=VERIFYING, one_example=having(DIGESTS[0]), trusted_example=having(DIGESTS[1])
        )
        await world.choose("nginx:1")
        world.script["one.example"] = CheckStatus.FAILED
        for number in range(10):
            await world.choose(f"new{number}:1")
        decision = await world.one("nginx:1")

        assert world.observer.switches[0][:2] == ("one.example", True)
        assert decision.outcome is Outcome.UNAVAILABLE
        assert "has another image under that name" in decision.reason

    run(main())


RULES = [
    (Rule("docker.io", ["one.example/hub"], original=Original.FIRST), "nginx", [True, True]),
    (Rule("*", ["one.example/all"], original=Original.FIRST), "stranger.example/a", [False, True]),
    (
        Rule("*.example", ["one.io/all"], original=Original.FIRST),
        "stranger.example/a",
        [False, True],
    ),
    (Rule(regex=r"([^/]+)/(.+)", mirrors=[r"\1/hub/\2"]), "stranger.example/a", [False]),
    (Rule(regex=r"([^/]+)/(.+)", mirrors=[r"one.example/\2"]), "stranger.example/a", [True]),
    (Rule("*", ["one.example/all"], verify=True), "stranger.example/a", [True, False]),
    (Rule("*", ["one.io/all"], verify=True, trusted=Mirror("two.io")), "s.example/a", [True, True]),
]


@pytest.mark.parametrize(("rule", "image", "named"), RULES)
def test_check_shows_whether_a_rule_names_its_registry(rule, image, named):
    options = list_options(MirrorMap([rule]).decide(image))

    assert [check.is_named for option in options for check in option.checks] == named


def test_memory_is_bounded_for_many_images():
    async def main():
        limit = 300_000
        world = FakeRegistries(one_example=ABSENT, two_example=PRESENT, limit=limit, seconds=0.0)
        for number in range(0, 3_000, 100):
            await world.choose(*(f"app{n}:1" for n in range(number, number + 100)))

        assert 0.9 * 2 * limit < world.checker._cache.size <= 2 * limit
        assert len(world.checker._open) == 0
        assert world.selector._options.size <= MAX_OPTION_BYTES

    run(main())
